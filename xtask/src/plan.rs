//! How long a chore goes on, and with which seed.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) minutes: u64,
    /// The time where none is named.
    pub(crate) seed: u64,
}

impl Plan {
    /// Reads what stands behind the name of a chore that takes `usual` minutes, and at most `most`.
    ///
    /// # Errors
    /// What is wrong with it, and what may stand there.
    pub(crate) fn read(chore: &str, arguments: &[&str], usual: u64, most: u64) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut plan = Self { minutes: usual, seed: now.as_secs() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let value = arguments.next().and_then(|value| value.parse().ok());
            match (*argument, value) {
                ("--minutes", Some(minutes)) if (1..=most).contains(&minutes) => plan.minutes = minutes,
                ("--seed", Some(seed)) => plan.seed = seed,
                ("--minutes", _) => bail!("--minutes takes a number from 1 to {most}"),
                ("--seed", _) => bail!("--seed takes a number"),
                (unknown, _) => bail!("{chore} takes --minutes N and --seed N, and not '{unknown}'"),
            }
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_seed_are_read_and_what_else_stands_there_is_refused() {
        let read = |arguments: &[&str]| Plan::read("soak", arguments, 30, 35);
        let plan = read(&["--seed", "7", "--minutes", "35"]).unwrap();
        assert_eq!(plan, Plan { minutes: 35, seed: 7 });
        assert_eq!(read(&[]).unwrap().minutes, 30);
        for wrong in
            [&["--minutes", "36"][..], &["--minutes", "0"], &["--minutes"], &["--seed", "x"], &["now"]]
        {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
