//! Dead letters as a table that fits on a screen.

use kete_config::rfc3339;
use kete_pipeline::dead_letters::ListedLetter;

use super::harmless;

/// The columns of a screen.
const WIDTH: usize = 100;
/// Between two columns.
const GAP: usize = 2;

/// A column: its head, and how narrow it may become; what is longer is cut off at the end.
struct Column {
    head: &'static str,
    least: usize,
}

const COLUMNS: [Column; 8] = [
    Column {
        head: "NUMBER",
        least: usize::MAX,
    },
    Column {
        head: "TIME (UTC)",
        least: usize::MAX,
    },
    Column {
        head: "ROUTE",
        least: 8,
    },
    Column {
        head: "REASON",
        least: usize::MAX,
    },
    Column {
        head: "TRIES",
        least: usize::MAX,
    },
    Column {
        head: "EVENT TYPE",
        least: 14,
    },
    Column {
        head: "USER",
        least: 9,
    },
    Column {
        head: "ID",
        least: 9,
    },
];

/// The table, oldest first; no line is wider than a screen, as long as there are fewer than a
/// million letters.
pub(super) fn table(letters: &[ListedLetter]) -> String {
    let rows: Vec<[String; 8]> = letters.iter().map(cells).collect();
    let widths = widths(&rows);
    let heads = COLUMNS.map(|column| column.head.to_owned());
    let mut text = String::new();
    for row in std::iter::once(&heads).chain(&rows) {
        text.push_str(line(row, &widths).trim_end());
        text.push('\n');
    }
    text
}

fn cells(letter: &ListedLetter) -> [String; 8] {
    let unknown = || "–".to_owned();
    let one_line = |text: &str| harmless(text).replace('\n', " ");
    [
        letter.number.to_string(),
        time(letter.at),
        one_line(&letter.route),
        one_line(&letter.reason),
        letter.attempts.to_string(),
        letter.event_type.as_deref().map_or_else(unknown, one_line),
        letter.user_id.as_deref().map_or_else(unknown, one_line),
        one_line(&letter.event_id),
    ]
}

/// To the second; the head says that it is UTC.
fn time(millis: i64) -> String {
    let text = rfc3339(millis).replace('T', " ");
    match text.split_once(['.', 'Z']) {
        Some((seconds, _)) => seconds.to_owned(),
        None => text,
    }
}

/// As wide as the longest cell, and narrower where the line would become too long: the widest
/// column gives way first.
fn widths(rows: &[[String; 8]]) -> [usize; 8] {
    let mut widths = COLUMNS.map(|column| column.head.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let gaps = GAP * (COLUMNS.len() - 1);
    while widths.iter().sum::<usize>() + gaps > WIDTH {
        let columns = widths.iter_mut().zip(&COLUMNS);
        let narrowable = columns.filter(|(width, column)| **width > column.least);
        match narrowable.max_by_key(|(width, _)| **width) {
            Some((width, _)) => *width -= 1,
            None => break,
        }
    }
    widths
}

fn line(cells: &[String; 8], widths: &[usize; 8]) -> String {
    let mut text = String::new();
    for (index, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, width);
        // Numbers are read from their end.
        let padded = match index {
            0 | 4 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        };
        text.push_str(&padded);
        text.push_str(&" ".repeat(GAP));
    }
    text
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: u64, route: &str, user: Option<&str>, id: &str) -> ListedLetter {
        ListedLetter {
            number,
            at: 1_795_227_330_447,
            route: route.to_owned(),
            reason: "connection_ended".to_owned(),
            attempts: 3,
            event_type: Some("LOGIN_ERROR".to_owned()),
            user_id: user.map(str::to_owned),
            event_id: id.to_owned(),
        }
    }

    #[test]
    fn short_things_are_shown_whole() {
        let expected = "\
NUMBER  TIME (UTC)           ROUTE  REASON            TRIES  EVENT TYPE   USER  ID
     7  2026-11-21 02:15:30  app    connection_ended      3  LOGIN_ERROR  ann   e-1
    12  2026-11-21 02:15:30  app    connection_ended      3  LOGIN_ERROR  –     e-2
";
        let letters = [
            letter(7, "app", Some("ann"), "e-1"),
            letter(12, "app", None, "e-2"),
        ];
        assert_eq!(table(&letters), expected);
    }

    #[test]
    fn no_line_is_wider_than_a_screen() {
        let uuid = "0f2c4a8e-7b1d-4e3c-9a55-3d1b2c4e5f60";
        let mut long = letter(999_999, "a-route-with-a-long-name", Some(uuid), uuid);
        long.event_type = Some("IDENTITY_PROVIDER_FIRST_LOGIN_ERROR".to_owned());
        let table = table(&[long]);
        for line in table.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(table.contains("0f2c4a8e…"), "{table}");
    }

    #[test]
    fn what_steers_a_terminal_does_not_reach_it() {
        let table = table(&[letter(1, "app", Some("a\u{1b}[2J\nb\u{9b}1m"), "x")]);
        assert!(table.contains("a\u{fffd}[2J b\u{fffd}1m"), "{table}");
        assert_eq!(table.lines().count(), 2);
    }
}
