//! The fields of statistics: of which definition they are, and since which commit they are counted.
//!
//! An owner counts in memory, and writes what it has counted whole. So that it never has to read what was counted before, by another
//! owner or by itself before it forgot it, each field is named by the seq of the commit that wrote it first: no
//! two of one definition have the same. Who reads puts all fields of a definition together.

/// What the statistics of a field are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The attempts of a task definition.
    Task,
    /// The runs of a workflow.
    Workflow,
}

/// Stands for all definitions of a tenant beyond those that an hour has series of their own for. No definition has this name.
pub const OTHERS: &str = "*";

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Task => 't',
            Self::Workflow => 'w',
        }
    }
}

/// What all fields of a definition begin with.
pub fn name(kind: Kind, tenant: &str, id: &str) -> String {
    format!("{}/{tenant}/{id}", kind.letter())
}

/// The field of a definition that the commit `seq` wrote first.
pub fn field(name: &str, seq: u64) -> String {
    format!("{name}/{seq}")
}

/// The definition of a field; none where it is of another kind or tenant.
pub fn id<'a>(field: &'a str, kind: Kind, tenant: &str) -> Option<&'a str> {
    let rest = field.strip_prefix(kind.letter())?.strip_prefix('/')?;
    let (id, _) = rest.strip_prefix(tenant)?.strip_prefix('/')?.rsplit_once('/')?;
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_tells_its_definition_to_its_tenant_alone() {
        let field = field(&name(Kind::Task, "acme", "payment.charge"), 17);
        assert_eq!(field, "t/acme/payment.charge/17");
        assert_eq!(id(&field, Kind::Task, "acme"), Some("payment.charge"));
        for (kind, tenant) in
            [(Kind::Workflow, "acme"), (Kind::Task, "acm"), (Kind::Task, "acmes"), (Kind::Task, "")]
        {
            assert_eq!(id(&field, kind, tenant), None, "{kind:?} {tenant}");
        }
        assert_eq!(id("w/a/odd/name/3", Kind::Workflow, "a"), Some("odd/name"));
        for field in ["", "t", "t/acme", "t/acme/17", "x/acme/a/17"] {
            assert_eq!(id(field, Kind::Task, "acme"), None, "{field}");
        }
    }
}
