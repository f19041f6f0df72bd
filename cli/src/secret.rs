//! Keeps passwords out of what people and logs are shown. Called wherever a text may hold the address of a server.

/// The schemes of addresses that hold a password.
const SCHEMES: [&str; 4] = ["amqp://", "amqps://", "redis://", "rediss://"];
/// What stands where a password was.
const HIDDEN: &str = "***";

/// The text with the password of every address in it hidden: what stands between the user's name and the host.
///
/// An address that is spelled wrong is hidden too, rather too much of it than too little.
pub(crate) fn hide(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, scheme)) = first_scheme(rest) {
        let begin = at + scheme.len();
        shown.push_str(&rest[..begin]);
        let behind = &rest[begin..];
        let line = behind.find('\n').unwrap_or(behind.len());
        let end = first_scheme(behind).map_or(line, |(next, _)| next.min(line));
        shown.push_str(&hide_one(&behind[..end]));
        rest = &behind[end..];
    }
    shown.push_str(rest);
    shown
}

fn first_scheme(text: &str) -> Option<(usize, &'static str)> {
    let found = SCHEMES.iter().filter_map(|scheme| Some((text.find(scheme)?, *scheme)));
    // `amqps://` holds no `amqp://`: the earliest is the one.
    found.min_by_key(|(at, _)| *at)
}

/// Hides the password of what follows one scheme.
fn hide_one(address: &str) -> String {
    // The last one: a password that is not escaped may hold others.
    if let Some((login, host)) = address.rsplit_once('@') {
        return match login.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
            None => address.to_owned(),
        };
    }
    // No host: what looks like a port may be a password.
    let Some((host, port)) = address.split_once(':').filter(|_| !address.starts_with('[')) else {
        return address.to_owned();
    };
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    let is_port =
        (1..=5).contains(&digits) && port[digits..].chars().next().is_none_or(|next| !next.is_alphanumeric());
    if is_port { address.to_owned() } else { format!("{host}:{HIDDEN}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let rows = [
            ("amqp://u:secret@h:1/v", "amqp://u:***@h:1/v"),
            ("'rediss://:secret@h' is none", "'rediss://:***@h' is none"),
            ("amqps://u:secret@a,redis://v:secret@b x", "amqps://u:***@a,redis://v:***@b x"),
            ("amqp://u:s/e c@secret@h", "amqp://u:***@h"),
            ("redis://:secret", "redis://:***"),
            ("nodes = [\"amqp://u:se\"cret@h\n   ^", "nodes = [\"amqp://u:***@h\n   ^"),
        ];
        for (text, shown) in rows {
            assert_eq!(hide(text), shown);
        }
    }

    #[test]
    fn what_holds_none_stays_as_it_is() {
        for text in
            ["redis://127.0.0.1:6379", "amqp://u@h", "amqp://h:5672/v, or", "redis://[::1]:1", "a:b@c"]
        {
            assert_eq!(hide(text), text);
        }
    }
}
