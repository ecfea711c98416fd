//! `docs/rules` has the text of every rule that is cited, and every rule there has a test that cites it, or a reason why not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::sources::{Source, with_extension};

/// The families of rules, as texts cite them. Names of tests begin with the same in lower case.
const FAMILIES: [&str; 5] = ["V2", "V3", "R", "S", "T"];

/// The number of a rule, such as V2-74.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    family: &'static str,
    number: u32,
}

impl Rule {
    /// Reads exactly this: `V2-74`.
    fn parse(text: &str) -> Option<Self> {
        let (family, number) = text.split_once('-')?;
        let family = FAMILIES.into_iter().find(|it| *it == family)?;
        let number = number.parse().ok()?;
        Some(Self { family, number })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.family, self.number)
    }
}

#[test]
fn every_cited_rule_has_a_text() {
    let rules = Rules::read();
    let mut missing = Vec::new();
    for (rule, tests) in &rules.tests {
        if !rules.texts.contains_key(rule) {
            missing.push(format!("{rule}, which these tests cite: {tests:?}"));
        }
    }
    for (rule, paths) in &rules.mentions {
        if !rules.texts.contains_key(rule) {
            missing.push(format!("{rule}, which these files cite: {paths:?}"));
        }
    }
    let missing = missing.join("\n");
    assert!(missing.is_empty(), "no text in docs/rules:\n{missing}");
}

#[test]
fn every_rule_has_a_test_that_cites_it_or_a_reason_why_not() {
    let rules = Rules::read();
    let mut wrong = Vec::new();
    for rule in rules.texts.keys() {
        match (rules.tests.get(rule), rules.reasons.get(rule)) {
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => wrong.push(format!("{rule} has neither a test nor a reason")),
            (Some(tests), Some(_)) => {
                wrong.push(format!(
                    "{rule} needs no reason, it has a test: {}",
                    tests[0]
                ));
            }
        }
    }
    for rule in rules.reasons.keys() {
        if !rules.texts.contains_key(rule) {
            wrong.push(format!("{rule} has a reason and no text"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_of_rules_is_in_the_index() {
    let pages = pages();
    let index = pages.iter().find(|page| page.path.ends_with("/README.md"));
    let index = &index.expect("docs/rules/README.md").text;
    for page in &pages {
        let name = page.path.rsplit('/').next().unwrap();
        let link = format!("({name}");
        assert!(name == "README.md" || index.contains(&link), "{name}");
    }
}

#[test]
fn citations_are_read() {
    let cites = |name: &str| {
        let cited: Vec<_> = cited_by(name).iter().map(Rule::to_string).collect();
        cited.join(" ")
    };
    assert_eq!(cites("v3_60_61_62_a_transaction"), "V3-60 V3-61 V3-62");
    assert_eq!(cites("v3_2_what_3_4_has"), "V3-2");
    assert_eq!(cites("v2_85_and_86_hidden_keys"), "V2-85 V2-86");
    assert_eq!(cites("t_1_and_t_2_a_stream"), "T-1 T-2");
    assert_eq!(cites("v3_89_v3_72_and_v3_73_a_watch"), "V3-89 V3-72 V3-73");
    for none in ["v3_user", "r_and_2", "a_test_of_v2_74", "v2", "tv_2_3"] {
        assert_eq!(cites(none), "", "{none}");
    }

    assert_eq!(name("    fn v3_2_has() {").as_deref(), Some("v3_2_has"));
    let case = "async fn v3_2_has<T: Transport>(etcd: Etcd<T>) {";
    assert_eq!(name(case).as_deref(), Some("v3_2_has"));
    assert_eq!(name("mod v3_2_has {").as_deref(), Some("v3_2_has"));
    assert_eq!(name("        v3_2_a_case_that_is_stamped,"), None);
    assert_eq!(name("    call(fn v3_2_is_quoted)"), None);

    let text = "(V2-74, R-2): not XV3-1, V3-1b, X-R-2 or #v2-74; T-1…T-2.";
    let found: Vec<_> = mentioned_in(text).iter().map(Rule::to_string).collect();
    assert_eq!(found, ["V2-74", "R-2", "T-1", "T-2"]);
}

/// What the sources and the pages say of rules.
#[derive(Default)]
struct Rules {
    /// The rules that have a text.
    texts: BTreeMap<Rule, String>,
    /// The rules that have a reason for being without a test.
    reasons: BTreeMap<Rule, String>,
    /// The names of the tests that cite a rule.
    tests: BTreeMap<Rule, Vec<String>>,
    /// The files that mention a rule.
    mentions: BTreeMap<Rule, BTreeSet<String>>,
}

impl Rules {
    fn read() -> Self {
        let mut rules = Self::default();
        for page in pages() {
            rules.add_page(&page);
        }
        let sources = with_extension("rs");
        for source in &sources {
            for name in source.text.lines().filter_map(name) {
                for rule in cited_by(&name) {
                    rules.tests.entry(rule).or_default().push(name.clone());
                }
            }
        }
        for source in sources.into_iter().chain(with_extension("md")) {
            for rule in mentioned_in(&source.text) {
                let paths = rules.mentions.entry(rule).or_default();
                paths.insert(source.path.clone());
            }
        }
        assert!(!rules.texts.is_empty() && !rules.tests.is_empty());
        rules
    }

    fn add_page(&mut self, page: &Source) {
        for line in page.text.lines() {
            let before = if let Some((rule, text)) = text(line) {
                self.texts.insert(rule, text.to_owned())
            } else if let Some((rule, reason)) = reason(line) {
                self.reasons.insert(rule, reason.to_owned())
            } else {
                assert!(
                    !line.contains("<a id="),
                    "{}: not a rule: {line}",
                    page.path
                );
                None
            };
            assert_eq!(before, None, "{}: said twice: {line}", page.path);
        }
    }
}

fn pages() -> Vec<Source> {
    let mut pages = with_extension("md");
    pages.retain(|page| page.path.starts_with("docs/rules/"));
    pages
}

/// Reads the first line of a rule: `- <a id="v2-74"></a>**V2-74** Text`.
fn text(line: &str) -> Option<(Rule, &str)> {
    let (anchor, rest) = line.strip_prefix("- <a id=\"")?.split_once("\"></a>**")?;
    let (rule, text) = rest.split_once("** ")?;
    let is_anchor = anchor == rule.to_lowercase();
    let rule = Rule::parse(rule).filter(|_| is_anchor && !text.trim().is_empty())?;
    Some((rule, text))
}

/// Reads a row of the table of rules without a test: `| V2-14 | Reason |`.
fn reason(line: &str) -> Option<(Rule, &str)> {
    let (rule, reason) = line.strip_prefix("| ")?.split_once(" | ")?;
    let reason = reason.strip_suffix(" |").filter(|it| !it.is_empty())?;
    Some((Rule::parse(rule)?, reason))
}

/// The name of the private function or module that begins in this line, as that of a test does.
fn name(line: &str) -> Option<String> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ").or(line.strip_prefix("mod "))?;
    let end = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
    name.split(end).next().map(str::to_owned)
}

/// The rules that a test of this name cites: those whose numbers it begins with.
fn cited_by(name: &str) -> Vec<Rule> {
    let mut cited = Vec::new();
    let mut family = None;
    for word in name.split('_') {
        let is_family = |it: &&str| it.to_lowercase() == word;
        if let Some(next) = FAMILIES.into_iter().find(is_family) {
            family = Some(next);
        } else if let (Some(family), Ok(number)) = (family, word.parse()) {
            cited.push(Rule { family, number });
        } else if word != "and" || cited.is_empty() {
            break;
        }
    }
    cited
}

/// The rules that this text mentions.
fn mentioned_in(text: &str) -> Vec<Rule> {
    let is_inside = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let words = text.split(|letter| !is_inside(letter));
    words.filter_map(Rule::parse).collect()
}
