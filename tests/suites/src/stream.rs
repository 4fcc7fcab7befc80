//! Events without end, for tests that run for long: which event is which follows from its user and
//! its number, so nobody has to remember millions of them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

use crate::events::login;

/// The event of this user with this number, counted from 1.
#[must_use]
pub fn numbered(user: u64, number: u64) -> String {
    login(&id_of(user, number), user, number)
}

fn id_of(user: u64, number: u64) -> String {
    format!("{user:08x}-0000-4000-8000-{number:012x}")
}

/// How often something came again.
pub type Repeats = u64;

/// Checks a brief record of such events: of each user the first arrivals are 1, 2, 3, … up to what
/// was accepted, and nothing else arrived.
///
/// # Errors
///
/// Says what is wrong.
pub fn check_numbered(record: impl Read, accepted: &HashMap<u64, u64>) -> Result<Repeats> {
    let (mut last, mut repeats) = (HashMap::<u64, u64>::new(), 0);
    for line in BufReader::new(record).lines() {
        let (line, user, number) = parse(&line?)?;
        let newest = last.entry(user).or_default();
        ensure!(
            number <= *newest + 1,
            "after {newest} of its user came {line}"
        );
        if number <= *newest {
            repeats += 1;
        } else {
            *newest = number;
        }
    }
    for (user, accepted) in accepted {
        let arrived = last.remove(user).unwrap_or_default();
        ensure!(
            arrived == *accepted,
            "of user {user} {arrived} of {accepted} arrived"
        );
    }
    ensure!(last.is_empty(), "of users who sent nothing came {last:?}");
    Ok(repeats)
}

/// A line with the user and the number in it, which have to fit its id.
fn parse(line: &str) -> Result<(Value, u64, u64)> {
    let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
    let user = value[1]
        .as_str()
        .and_then(|user| user.rsplit('-').next()?.parse().ok());
    let (user, number) = user
        .zip(value[2].as_u64())
        .with_context(|| line.to_owned())?;
    ensure!(value[0] == id_of(user, number), "nobody sent {line}");
    Ok((value, user, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(numbers: &[(u64, u64)]) -> String {
        let line = |(user, number): &(u64, u64)| {
            let event: Value = serde_json::from_str(&numbered(*user, *number)).unwrap_or_default();
            let sequence = event["details"]["sequence"]
                .as_str()
                .and_then(|one| one.parse().ok());
            let sequence: u64 = sequence.unwrap_or_default();
            format!(
                "{}\n",
                serde_json::json!([event["id"], event["userId"], sequence])
            )
        };
        numbers.iter().map(line).collect()
    }

    fn check(numbers: &[(u64, u64)]) -> Result<Repeats> {
        check_numbered(record(numbers).as_bytes(), &HashMap::from([(1, 3), (2, 1)]))
    }

    #[test]
    fn all_of_it_in_order_passes_with_repeats_counted() -> Result<()> {
        assert_eq!(check(&[(1, 1), (2, 1), (1, 2), (1, 1), (1, 2), (1, 3)])?, 2);
        Ok(())
    }

    #[test]
    fn gaps_losses_and_strangers_are_noticed() {
        assert!(
            check(&[(1, 1), (2, 1), (1, 3), (1, 2)]).is_err(),
            "out of order"
        );
        assert!(check(&[(1, 1), (2, 1), (1, 2)]).is_err(), "lost at the end");
        assert!(check(&[(1, 1), (1, 2), (1, 3)]).is_err(), "a user lost");
        assert!(
            check(&[(1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]).is_err(),
            "a stranger"
        );
    }
}
