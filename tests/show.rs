//! The reading commands on what people really feed them: files that are torn, foreign, newer, damaged, huge or no files at all;
//! and their manners: data to stdout, everything else to stderr, no ANSI where no terminal is, help with examples.

mod fixture;

use fixture::{assay, folder};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Both forms that a record is shown in.
const FORMS: [&[&str]; 2] = [&[], &["--json"]];
const ESCAPE: char = '\u{1b}';

fn show(path: &Path, more: &[&str]) -> Output {
    assay().arg("show").arg(path).args(more).output().expect("starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn written(name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder(name).join("run.jsonl");
    std::fs::write(&path, contents).expect("a temporary file");
    path
}

/// Exit code 2, nothing on stdout, and one message on stderr that names the file and has every one of `words`.
fn refused(path: &Path, words: &[&str]) {
    for form in FORMS {
        check_refused(path, &show(path, form), words);
    }
}

fn check_refused(path: &Path, output: &Output, words: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert_eq!((stderr.lines().count(), stderr.starts_with("assay: ")), (1, true), "{stderr}");
    assert!(stderr.len() < 1_000 && !stderr.contains(ESCAPE) && !stderr.contains("panicked"), "{stderr}");
    let named = path.to_str().expect("utf-8");
    assert!(words.iter().chain([&named]).all(|word| stderr.contains(word)), "{stderr} lacks one of {words:?}");
}

/// Of three launches the greatest is no 99th percentile; the record keeps what it is.
#[test]
fn a_quantile_that_too_few_launches_tell_is_left_blank() {
    let counted = |name: &str, count: u64| {
        let mut document = fixture::document();
        document.entries.truncate(1);
        let latency = document.entries[0].latency.as_mut().expect("latency");
        let service = latency.service.as_mut().expect("launches");
        (service.count, service.p50, service.p99) = (count, assay::units::Nanos(11_000_000), assay::units::Nanos(693_000_000));
        latency.response = latency.service.clone();
        let line = |line| serde_json::to_string(&line).expect("plain data");
        let lines = [
            line(assay::record::Line::Run(Box::new(document.header.clone()))),
            line(assay::record::Line::Entry(Box::new(document.entries[0].clone()))),
        ];
        let path = written(name, lines.join("\n") + "\n");
        (text(&show(&path, &[]).stdout), text(&show(&path, &["--json"]).stdout))
    };
    let (few, json) = counted("few-launches", 3);
    assert!(few.contains("11.0 ms") && !few.contains("693 ms") && !few.contains(", p99 "), "{few}");
    assert!(json.contains("693000000"), "the record keeps it: {json}");
    let (many, _) = counted("many-launches", 100);
    assert!(many.contains("693 ms") && many.contains(", p99 "), "{many}");
}

#[test]
fn a_record_is_shown_whole() {
    let path = written("whole", fixture::text());
    let sheet = show(&path, &[]);
    let shown = text(&sheet.stdout);
    assert_eq!((sheet.status.code(), text(&sheet.stderr).as_str()), (Some(0), ""));
    for entry in fixture::document().entries {
        let place = entry.workload.id.strip_prefix(&format!("{}/", entry.workload.family)).expect("an id begins with its family");
        let shape = place.rsplit('/').next().expect("a shape");
        assert!(shown.contains(shape), "{} is missing in\n{shown}", entry.workload.id);
    }
    assert!(shown.to_lowercase().contains("not hardware"), "a fake must say so:\n{shown}");
    let json = show(&path, &["--json"]);
    let mut printed: assay::record::Document = serde_json::from_slice(&json.stdout).expect("one document");
    let ledgers = printed.entries.iter_mut().filter_map(|entry| entry.ledger.take()).count();
    assert!(ledgers > 0, "where the peak went is printed with an entry, and stored with none");
    assert!(printed == fixture::document(), "figures are read back to the last bit");
}

#[test]
fn what_is_no_record_is_refused_in_one_sentence() {
    let folder = folder("no-record");
    refused(&folder.join("missing.jsonl"), &["No such file"]);
    refused(&folder, &["folder"]);
    refused(&written("empty", ""), &["empty"]);
    refused(&written("zeros", [0; 4096]), &["not a record"]);
    refused(&written("foreign-object", "{\"benchmark\": 1}\n"), &["not a record", "schema"]);
    refused(&written("foreign-list", "[1, 2, 3]\n"), &["not a record"]);
    refused(&written("foreign-schema", "{\"schema\": \"other.tool/1\"}\n"), &["other.tool/1"]);
    let long = format!("{{\"schema\": \"{}\\u001b[2J\"}}\n", "long".repeat(100_000));
    refused(&written("foreign-schema-long", long), &["longlong"]);
    refused(&written("not-utf-8", b"\xff\xfe{\"schema\"}\n"), &["not a record"]);
    refused(&written("pretty", serde_json::to_string_pretty(&fixture::document()).expect("plain data")), &["not a record"]);
    refused(Path::new("/dev/zero"), &["not a record"]);
}

#[test]
fn a_newer_record_is_refused_by_its_number() {
    let newer = fixture::text().replacen("assay.run/1", "assay.run/2", 1);
    refused(&written("newer", newer), &["assay.run/2", "assay.run/1", "newer assay"]);
}

#[test]
fn fields_of_a_later_minor_format_are_no_obstacle() {
    let later = fixture::text().replace("\"outcome\":", "\"invented_later\":{\"a\":[1,2]},\"outcome\":");
    let output = show(&written("later", later), &["--json"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn a_damaged_line_in_the_middle_is_named() {
    let mut lines: Vec<String> = fixture::text().lines().map(str::to_owned).collect();
    let half = lines[4].len() / 2;
    lines[4].truncate(half);
    refused(&written("damaged", lines.join("\n") + "\n"), &[":5:"]);
    lines[4] = "null".into();
    refused(&written("null-line", lines.join("\n") + "\n"), &[":5:"]);
}

#[test]
fn a_torn_last_line_costs_that_line_and_a_warning() {
    let whole = fixture::text();
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at).collect();
    // Within the last entry and within the end, from their first byte to their last but one.
    let (entry, end) = (ends[ends.len() - 3] + 1..ends[ends.len() - 2], ends[ends.len() - 2] + 1..ends[ends.len() - 1]);
    let entries = fixture::document().entries.len();
    let path = folder("torn").join("run.jsonl");
    for (line, kept) in [(entry, entries - 1), (end, entries)] {
        for cut in (line.start + 1..line.end).step_by(line.len() / 25).chain([line.end - 1]) {
            std::fs::write(&path, &whole[..cut]).expect("a temporary file");
            let output = show(&path, &["--json"]);
            let stderr = text(&output.stderr);
            assert_eq!((output.status.code(), stderr.lines().count()), (Some(0), 1), "cut at {cut}: {stderr}");
            assert!(stderr.starts_with("assay: warning: ") && stderr.contains("torn"), "{stderr}");
            let document: assay::record::Document = serde_json::from_slice(&output.stdout).expect("one document");
            assert_eq!((document.entries.len(), document.end.is_none()), (kept, true), "cut at {cut}");
        }
    }
    let sheet = show(&path, &[]);
    assert_eq!(sheet.status.code(), Some(0));
    assert!(text(&sheet.stdout).contains("not ended"), "{}", text(&sheet.stdout));
}

#[test]
fn only_the_newline_missing_is_no_tear() {
    let output = show(&written("no-newline", fixture::text().trim_end()), &["--json"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    let header_alone = fixture::text().lines().next().expect("a header").to_owned();
    let output = show(&written("header-alone", header_alone), &[]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

/// 100 MB whose bytes come from `byte`, after `head`.
fn huge(name: &str, head: &str, byte: impl Fn(u32) -> u8) -> PathBuf {
    let path = folder(name).join("run.jsonl");
    let mut file = File::create(&path).expect("a temporary file");
    file.write_all(head.as_bytes()).expect("room for it");
    let block: Vec<u8> = (0..1_000_000).map(byte).collect();
    (0..100).for_each(|_| file.write_all(&block).expect("room for it"));
    path
}

#[test]
fn a_hundred_megabytes_of_garbage_are_refused_fast_and_in_little_memory() {
    let header = fixture::text().lines().next().expect("a header").to_owned() + "\n";
    let files = [
        huge("garbage", "", noise),
        huge("garbage-one-line", "", |i| b' ' + noise(i) % 64),
        huge("garbage-list", "[", |i| if i % 2 == 0 { b'0' } else { b',' }),
        huge("garbage-after-header", &header, |i| b' ' + noise(i) % 64),
        huge("garbage-nested", &header, |_| b'['),
        huge("garbage-empty-lines", &header, |_| b'\n'),
    ];
    for path in files {
        let begin = Instant::now();
        // Address space, of which the program itself maps a good part.
        let limited = "ulimit -v 262144 && exec \"$0\" show \"$1\"";
        let output = Command::new("sh").args(["-c", limited, env!("CARGO_BIN_EXE_assay")]).arg(&path).output().expect("starts");
        let took = begin.elapsed();
        check_refused(&path, &output, &[]);
        assert!(took < Duration::from_secs(3), "{} took {took:?}", path.display());
        std::fs::remove_file(&path).expect("own file");
    }
}

/// Bytes without a pattern.
fn noise(i: u32) -> u8 {
    (i.wrapping_mul(0x9E37_79B1) >> 13) as u8
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let path = written("pipe", fixture::text().into_bytes());
    let path = path.to_str().expect("utf-8");
    let commands: [&[&str]; 5] = [&["show", path], &["show", "--json", path], &["schema"], &["man"], &["completions", "zsh"]];
    for arguments in commands {
        let mut child = assay().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ends");
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn no_colour_leaves_the_program_unless_a_terminal_wants_it() {
    let path = written("colour", fixture::text());
    assert!(!text(&show(&path, &[]).stdout).contains(ESCAPE), "piped");
    // `script` lends the command a terminal.
    let on_a_terminal = |environment: &[(&str, &str)]| {
        let line = format!("{} show {}", env!("CARGO_BIN_EXE_assay"), path.display());
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null());
        // A pipeline that sets CI asks for colour even of a dumb terminal.
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
            command.env_remove(name);
        }
        let output = command.envs(environment.iter().copied()).output().expect("`script` is part of util-linux");
        assert!(text(&output.stdout).contains("Invented accelerator"), "{}", text(&output.stdout));
        text(&output.stdout).contains(ESCAPE)
    };
    assert!(on_a_terminal(&[]), "a terminal gets colour");
    assert!(!on_a_terminal(&[("NO_COLOR", "1")]), "NO_COLOR");
    assert!(!on_a_terminal(&[("CLICOLOR", "0")]), "CLICOLOR=0");
    assert!(!on_a_terminal(&[("TERM", "dumb")]), "TERM=dumb");
}

#[test]
fn what_a_record_says_cannot_reach_the_terminals_controls() {
    let hostile = fixture::text().replace("Invented accelerator", "Invented \\u001b[2J\\u0007accelerator");
    let path = written("hostile", hostile);
    let output = assay().arg("show").arg(&path).env("CLICOLOR_FORCE", "1").output().expect("starts");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(shown.contains("accelerator") && !shown.contains("\u{1b}[2J") && !shown.contains('\u{7}'), "{shown}");
}

#[test]
fn bars_fall_back_to_ascii() {
    let path = written("ascii", fixture::text());
    let bare = |locale: &str, more: &[&str]| {
        let mut command = assay();
        let command = command.env_remove("LC_ALL").env_remove("LC_CTYPE").env("LANG", locale);
        text(&command.arg("show").arg(&path).args(more).output().expect("starts").stdout)
    };
    assert!(bare("C.UTF-8", &[]).contains('█'));
    for ascii in [bare("C", &[]), bare("C.UTF-8", &["--plain"])] {
        assert!(ascii.is_ascii() && ascii.contains("####"), "{ascii}");
    }
}

#[test]
fn help_shows_examples_and_usage_errors_are_exit_code_two() {
    for arguments in [&["--help"][..], &["show", "--help"], &["schema", "--help"], &["completions", "--help"], &["man", "--help"]] {
        let output = assay().args(arguments).output().expect("starts");
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(help.contains("Examples:") && help.contains("  assay ") && !help.contains(ESCAPE), "{help}");
    }
    for arguments in [&[][..], &["show"], &["shwo"], &["show", "--jsn", "x"], &["completions", "tcsh"], &["schema", "--lines"]] {
        let output = assay().args(arguments).output().expect("starts");
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?}");
        assert!(text(&output.stderr).contains("Usage:") || text(&output.stderr).contains("possible values"), "{arguments:?}");
    }
}

#[test]
fn manual_pages_are_written_for_every_command_a_person_types() {
    let folder = folder("man").join("deep/man1");
    let output = assay().args(["man", "--dir"]).arg(&folder).output().expect("starts");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(0), true), "{}", text(&output.stderr));
    for name in ["assay", "assay-run", "assay-devices", "assay-show", "assay-schema", "assay-completions", "assay-man"] {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).expect("a page");
        assert!(page.contains(".TH") && page.contains("Examples"), "{name}");
    }
    assert!(!folder.join("assay-worker.1").exists(), "hidden commands have no page");
    let blocked = assay().args(["man", "--dir", "/dev/null/man"]).output().expect("starts");
    assert_eq!((blocked.status.code(), text(&blocked.stderr).lines().count()), (Some(2), 1));
}
