//! Where in a definition something stands: `tasks[2].inputMappings.amount`.

use std::fmt;
use std::rc::Rc;

/// A path of keys and positions from the root; cheap to clone and to extend.
#[derive(Clone, Default)]
pub(crate) struct Place(Option<Rc<Link>>);

struct Link {
    parent: Place,
    step: Step,
}

/// One step down a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(Rc<str>),
    Index(usize),
}

impl Place {
    /// The whole definition.
    pub(crate) fn root() -> Self {
        Self(None)
    }

    /// The value under `key`.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// The item at `index`, from 0.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        Self(Some(Rc::new(Link { parent: self.clone(), step })))
    }

    /// The place around this one; none for the whole.
    pub(crate) fn parent(&self) -> Option<&Place> {
        self.0.as_ref().map(|link| &link.parent)
    }

    /// The steps from the root.
    pub(crate) fn steps(&self) -> Vec<&Step> {
        let mut steps = Vec::new();
        let mut at = self;
        while let Some(link) = &at.0 {
            steps.push(&link.step);
            at = &link.parent;
        }
        steps.reverse();
        steps
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps().into_iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{key:?}]")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_like_a_path_in_code() {
        let place = Place::root().key("tasks").index(2).key("inputMappings").key("odd key").index(0);
        assert_eq!(place.to_string(), "tasks[2].inputMappings[\"odd key\"][0]");
        assert_eq!(
            place.parent().map(ToString::to_string),
            Some("tasks[2].inputMappings[\"odd key\"]".to_owned())
        );
        assert_eq!(Place::root().to_string(), "");
    }
}
