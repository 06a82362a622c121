//! The largest files and functions. Nothing fails here: the list is to be looked at.

use std::fmt::Write as _;
use std::path::Path;

use crate::source;

/// What was measured so far.
#[derive(Default)]
pub(crate) struct Sizes {
    files: Vec<(usize, String)>,
    functions: Vec<(usize, String)>,
}

impl Sizes {
    /// Measures one file. Tests are left out: a long list of cases is no smell.
    pub(crate) fn add(&mut self, path: &Path, text: &str) {
        if is_test(path) {
            return;
        }
        let text = without_tests(text);
        self.files.push((text.lines().count(), path.display().to_string()));
        for function in functions(text) {
            self.functions.push((
                function.lines,
                format!("{}:{} {}", path.display(), function.first_line, function.name),
            ));
        }
    }

    /// The `count` largest of each, with a star where the conventions ask a question.
    pub(crate) fn report(mut self, count: usize) -> String {
        let mut out = String::new();
        for (title, limit, list) in [("files", 600, &mut self.files), ("functions", 60, &mut self.functions)]
        {
            list.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            // Writing into a String cannot fail.
            let _ = writeln!(out, "largest {title} (a star: over {limit} lines)");
            for (lines, name) in list.iter().take(count) {
                let star = if *lines > limit { '*' } else { ' ' };
                let _ = writeln!(out, "{star}{lines:6}  {name}");
            }
        }
        out
    }
}

struct Function {
    name: String,
    first_line: usize,
    lines: usize,
}

fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// The part before the closing `#[cfg(test)] mod tests`; tests stand at the very end of a file.
fn without_tests(text: &str) -> &str {
    let end = text.match_indices("#[cfg(test)]\nmod ").find(|(at, found)| {
        let line = text[at + found.len()..].lines().next().unwrap_or("");
        line.ends_with('{')
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn functions(text: &str) -> Vec<Function> {
    let code = source::code_only(text);
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if at > 0 && source::is_word(bytes[at - 1]) {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(bytes, at) {
            let first_line = line_of(bytes, at);
            found.push(Function { name, first_line, lines: line_of(bytes, end) - first_line + 1 });
        }
    }
    found
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|&&b| b == b'\n').count() + 1
}

/// Where the body of the function declared at `at` closes; none for a declaration without a body.
fn body_end(bytes: &[u8], at: usize) -> Option<usize> {
    let (mut parentheses, mut braces) = (0_i32, 0_i32);
    for (offset, byte) in bytes[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' => parentheses += 1,
            b')' | b']' => parentheses -= 1,
            b';' if parentheses == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at + offset);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_measured_from_its_name_to_its_brace() {
        let text =
            "\nfn one(x: [u8; 3]) -> u8 {\n    if true { 1 } else { 2 }\n}\nfn declared();\nfn two() {}\n";
        let found = functions(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].first_line, found[0].lines), ("one", 2, 3));
        assert_eq!((found[1].name.as_str(), found[1].lines), ("two", 1));
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        assert_eq!(functions("fn f() {\n    let s = \"}\";\n}\n")[0].lines, 3);
    }

    #[test]
    fn tests_are_left_out() {
        let mut sizes = Sizes::default();
        sizes.add(Path::new("a/src/lib.rs"), "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
        sizes.add(Path::new("a/tests/x.rs"), "fn c() {}\n");
        let report = sizes.report(10);
        assert!(report.contains("lib.rs:1 a"));
        assert!(!report.contains(" b\n") && !report.contains("x.rs"));
    }

    #[test]
    fn a_sibling_test_file_does_not_hide_the_code_after_its_declaration() {
        assert_eq!(
            without_tests("#[cfg(test)]\nmod tests;\nfn a() {}\n"),
            "#[cfg(test)]\nmod tests;\nfn a() {}\n"
        );
    }

    #[test]
    fn the_largest_come_first_and_starred() {
        let mut sizes = Sizes::default();
        sizes.add(Path::new("small.rs"), "x\n");
        sizes.add(Path::new("large.rs"), &"x\n".repeat(601));
        let report = sizes.report(1);
        assert!(report.contains("*   601  large.rs") && !report.contains("small.rs"));
    }
}
