//! The WGSL shaders that the binary carries, by stem.

/// Source of the shader of a stem.
#[must_use]
pub fn shader(stem: &str) -> Option<&'static str> {
    SHADERS.iter().find(|(name, _)| *name == stem).map(|(_, source)| *source)
}

/// A shader as it stands in `shaders/`, behind what it shares with others; WGSL itself has no way to include.
macro_rules! shader {
    ($stem:literal) => {
        ($stem, include_str!(concat!("../../shaders/", $stem, ".wgsl")))
    };
    ($shared:literal, $stem:literal) => {
        (
            $stem,
            concat!(
                include_str!(concat!("../../shaders/", $shared, ".wgsl")),
                include_str!(concat!("../../shaders/", $stem, ".wgsl"))
            ),
        )
    };
}

/// Stem and source of every shader.
pub const SHADERS: &[(&str, &str)] = &[
    shader!("add"),
    shader!("copy"),
    shader!("dot"),
    shader!("generator", "fill"),
    shader!("generator", "fold"),
    shader!("link"),
    shader!("matmul"),
    shader!("matmul_naive"),
    shader!("matmul_registers"),
    shader!("read"),
    shader!("generator", "residual"),
    shader!("scale"),
    shader!("triad"),
    shader!("generator", "write"),
];
