//! The WGSL shaders that the binary carries, by stem.

/// Source of the shader of a stem.
#[must_use]
pub fn shader(stem: &str) -> Option<&'static str> {
    SHADERS.iter().find(|(name, _)| *name == stem).map(|(_, source)| *source)
}

/// Stem and source of every shader.
pub const SHADERS: &[(&str, &str)] = &[];
