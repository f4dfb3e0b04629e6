//! Every command in docs/units.md is run as it stands there.

use super::fixture::{assay, folder};

const PAGE: &str = include_str!("../../docs/units.md");

/// Lines of fenced blocks that begin with `$ assay`, and files that the page shows under a line `FILE:`.
#[test]
fn every_command_of_the_page_works() {
    let folder = folder("docs");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut commands, mut shown) = (Vec::new(), 0);
    let mut blocks = PAGE.split("```");
    let mut before = blocks.next().unwrap_or_default();
    while let (Some(block), after) = (blocks.next(), blocks.next()) {
        let text = block.split_once('\n').map_or("", |(_, text)| text);
        let name = before.trim_end().lines().last().and_then(|line| line.strip_prefix('`')?.strip_suffix("`:"));
        if let Some(name) = name {
            std::fs::write(folder.join(name), text).expect("a temporary file");
            shown += 1;
        }
        commands.extend(text.lines().filter_map(|line| line.strip_prefix("$ assay ")).map(str::to_owned));
        before = after.unwrap_or_default();
    }
    assert!(commands.len() >= 8 && shown >= 2, "{commands:?}");
    for command in commands {
        let words: Vec<String> = command
            .split_whitespace()
            .map(|word| {
                let committed = root.join(word);
                if word.starts_with("results/") { committed.to_str().expect("utf-8").to_owned() } else { word.to_owned() }
            })
            .collect();
        let output = assay().current_dir(&folder).args(&words).output().expect("starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command}: {stderr}");
        assert!(!output.stdout.is_empty(), "{command}");
    }
}
