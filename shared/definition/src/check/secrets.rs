//! `secrets.<name>`: only where a worker can put the secret in, so that no expression ever holds one.

use oarlock_expression::Reference;

use super::sites::Site;
use crate::code::Code;
use crate::findings::Finding;
use crate::place::Place;

/// The problem of a reference to a secret, and which of its segments it is about.
pub(super) fn wrong(
    site: Site,
    text: &str,
    place: &Place,
    reference: &Reference,
) -> Option<(Finding, usize)> {
    let told = |code: Code, message: &str, help: &str| Finding::new(code, place, message).help(help);
    if !matches!(site, Site::Input(_) | Site::Undo(_)) {
        let message = "`secrets` are known only in the `inputMappings` of a step with `task`";
        let help = "Hand it to the task that needs it: `inputMappings: {token: \"${ secrets.token }\"}`.";
        return Some((told(Code::OutOfScope, message, help), 0));
    }
    let [_, name] = &reference.path[..] else {
        let (message, help) = match reference.path.get(1) {
            Some(name) => (
                format!("the secret `{name}` is a text without parts"),
                format!("Write `${{ secrets.{name} }}`."),
            ),
            None => {
                ("`secrets` alone is not a value".to_owned(), "Name one: `${ secrets.token }`.".to_owned())
            }
        };
        return Some((told(Code::UnknownProperty, &message, &help), 0));
    };
    if !is_alone(text, reference, name) {
        let message =
            format!("`secrets.{name}` stands alone in its `${{ }}`: no expression can look at a secret");
        let help = format!("The worker puts it in. Text stands outside: `\"Bearer ${{ secrets.{name} }}\"`.");
        return Some((told(Code::OutOfScope, &message, &help), 0));
    }
    None
}

/// Whether nothing but the reference stands in the `${ }` around it.
fn is_alone(text: &str, reference: &Reference, name: &str) -> bool {
    let (Some(before), Some(written), Some(after)) = (
        text.get(..reference.range.start),
        text.get(reference.range.clone()),
        text.get(reference.range.end..),
    ) else {
        return false;
    };
    before.trim_end().ends_with("${")
        && after.trim_start().starts_with('}')
        && written.strip_prefix("secrets.") == Some(name)
}
