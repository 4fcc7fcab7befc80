//! What `docs/delivery.md` promises is shown by tests: each row of its tables names some of them,
//! and each of those is there.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use kete_suites::project;

const PAGE: &str = "docs/delivery.md";
const PROMISES: (&str, &str) = ("## Failure by failure", "## What no setting covers");
const TESTS: &str = "## The tests behind this page";

#[test]
fn every_row_about_delivery_names_tests_that_exist() -> Result<()> {
    let page = fs::read_to_string(project(PAGE)).context(PAGE)?;
    let (_, rest) = page.split_once(PROMISES.0).context("no promises")?;
    let (promises, _) = rest
        .split_once(PROMISES.1)
        .context("the promises have no end")?;
    let (_, tests) = page.split_once(TESTS).context("no list of tests")?;

    let mut named = BTreeSet::new();
    for row in rows(promises) {
        let last = row.last().context("an empty row")?;
        let numbers: Option<Vec<usize>> = last
            .split_whitespace()
            .map(|number| number.parse().ok())
            .collect();
        let numbers = numbers.unwrap_or_default();
        ensure!(!numbers.is_empty(), "no test is named in the row {row:?}");
        named.extend(numbers);
    }
    ensure!(named.len() > 50, "only {} tests are named", named.len());

    let mut listed = BTreeSet::new();
    for row in rows(tests) {
        let [number, test, path] = row[..] else {
            anyhow::bail!("no test, but {row:?}");
        };
        let number: usize = number.parse().with_context(|| format!("{row:?}"))?;
        ensure!(listed.insert(number), "number {number} is there twice");
        is_a_test(test.trim_matches('`'), path.trim_matches('`'))?;
    }
    named.extend(numbers_in_text(promises));
    let missing: Vec<&usize> = named.difference(&listed).collect();
    ensure!(
        missing.is_empty(),
        "these numbers are not in the list: {missing:?}"
    );
    let unused: Vec<&usize> = listed.difference(&named).collect();
    ensure!(unused.is_empty(), "nothing on the page leads to {unused:?}");
    Ok(())
}

/// The numbers that stand between parentheses outside of tables.
fn numbers_in_text(text: &str) -> Vec<usize> {
    let lines = text.lines().filter(|line| !line.starts_with('|'));
    let groups = lines.flat_map(|line| line.split('(').skip(1));
    let inner = groups.filter_map(|group| group.split_once(')'));
    inner
        .filter_map(|(numbers, _)| {
            let each = numbers.split_whitespace();
            each.map(|number| number.parse().ok())
                .collect::<Option<Vec<usize>>>()
        })
        .flatten()
        .collect()
}

/// The cells of each row below the heads of the tables.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    let mut below_head = false;
    for line in text.lines() {
        if !line.starts_with('|') {
            below_head = false;
        } else if line.starts_with("|---") {
            below_head = true;
        } else if below_head {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(str::trim).collect());
        }
    }
    rows
}

fn is_a_test(name: &str, path: &str) -> Result<()> {
    let source = fs::read_to_string(project(path)).with_context(|| path.to_owned())?;
    let place = source
        .find(&format!("fn {name}("))
        .with_context(|| format!("there is no {name} in {path}"))?;
    let before: Vec<&str> = source[..place].lines().rev().take(4).collect();
    let marked = before
        .iter()
        .any(|line| line.trim_start().starts_with("#[") && line.contains("test"));
    ensure!(marked, "{name} in {path} is no test");
    Ok(())
}
