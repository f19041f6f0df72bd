//! What the parser makes of texts: precedence, references, and messages for what is no expression.

use super::*;
use crate::expression::Expression;

fn shape(source: &str) -> String {
    let lexemes = crate::lexer::all(source, 0..source.len()).unwrap();
    let parsed = parse(lexemes).unwrap_or_else(|error| panic!("{source}: {error}"));
    write(&parsed.root, &parsed.references)
}

/// The tree with a bracket around every operation.
fn write(node: &Node, names: &[Reference]) -> String {
    let list = |nodes: &[Node], sign: &str| {
        nodes.iter().map(|node| write(node, names)).collect::<Vec<_>>().join(&format!(" {sign} "))
    };
    match &node.kind {
        Kind::Literal(value) => value.to_string(),
        Kind::Reference(index) => names[*index].path.join("."),
        Kind::Local(distance) => format!("local{distance}"),
        Kind::Member(holder, key) => format!("{}.{key}", write(holder, names)),
        Kind::Index(holder, index) => format!("{}[{}]", write(holder, names), write(index, names)),
        Kind::Not(node) => format!("(! {})", write(node, names)),
        Kind::Negate(node) => format!("(- {})", write(node, names)),
        Kind::Every(nodes) => format!("({})", list(nodes, "&&")),
        Kind::Any(nodes) => format!("({})", list(nodes, "||")),
        Kind::Binary(operator, sides) => {
            format!("({} {} {})", write(&sides.0, names), operator.sign(), write(&sides.1, names))
        }
        Kind::Conditional(parts) => {
            format!("({} ? {} : {})", write(&parts.0, names), write(&parts.1, names), write(&parts.2, names))
        }
        Kind::Call(function, nodes) => format!("{}({})", function.name, list(nodes, ",")),
        Kind::Each(kind, over, bodies) => {
            format!("{}({}; {})", kind.name(), write(over, names), list(bodies, ","))
        }
        Kind::List(nodes) => format!("[{}]", list(nodes, ",")),
        other => format!("{other:?}"),
    }
}

#[test]
fn operators_bind_as_in_cel() {
    for (source, expected) in [
        ("a || b && c == d + e * -f", "(a || (b && (c == (d + (e * (- f))))))"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c % d", "(((a / b) * c) % d)"),
        ("a && b && c || d || e", "((a && b && c) || d || e)"),
        ("a && (b && c)", "(a && (b && c))"),
        ("!a.b", "(! a.b)"),
        ("-a.b[0]", "(- a.b[0])"),
        ("!!a", "(! (! a))"),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("a || b ? c : d", "((a || b) ? c : d)"),
        ("1 - -1", "(1 - (- 1))"),
        ("x.size() > 1", "(size(x) > 1)"),
        ("[1, 2,].size()", "size([1 , 2])"),
        ("(a + b).c", "(a + b).c"),
    ] {
        assert_eq!(shape(source), expected, "{source}");
    }
}

#[test]
fn macro_variables_count_outwards_and_hide_names_only_inside() {
    assert_eq!(shape("a.map(x, x + b)"), "map(a; (local0 + b))");
    assert_eq!(shape("a.map(x, x.map(y, x + y))"), "map(a; map(local0; (local1 + local0)))");
    assert_eq!(shape("x.map(x, x).size() + x"), "(size(map(x; local0)) + x)");
}

#[test]
fn references_are_the_free_names_with_their_static_members() {
    let found = |source: &str| -> Vec<(String, Range<usize>)> {
        let expression = Expression::compile(source).unwrap();
        expression.references().iter().map(|found| (found.path.join("."), found.range.clone())).collect()
    };
    let source = "tasks.charge.output.id + items[input.n].price + list.map(x, x.y)";
    assert_eq!(
        found(source),
        [
            ("tasks.charge.output.id".into(), 0..22),
            ("items".into(), 25..30),
            ("input.n".into(), 31..38),
            ("list".into(), 48..52)
        ]
    );
    assert_eq!(found("${ a['odd key'].b }"), [("a.odd key.b".into(), 3..17)]);
    assert_eq!(found("has(a.b) ? get(c.d, 'k', e) : f.size()").len(), 4);
    assert_eq!(found("1 + 2"), []);
}

#[test]
fn errors_point_at_the_place_and_say_what_to_write() {
    for (source, place, message, help) in [
        ("", "", "no expression", "variables.total > 0"),
        ("${ }", "}", "no expression", ""),
        ("a and b", "and", "ends before 'and'", "&&"),
        ("not a", "a", "ends before 'a'", "write ! for not"),
        ("a +", "", "a value must stand here, not the end", ""),
        ("a + * b", "*", "a value must stand here, not '*'", ""),
        ("(a + b", "", "')' must stand here", "needs its )"),
        ("a ? b", "", "':' must stand here", "condition ? a : b"),
        ("a.1", "1", "a name must follow", ""),
        ("a.", "", "a name must follow", "odd key"),
        ("f(a)", "f", "no function 'f'", ""),
        ("upperr(a)", "upperr", "no function 'upperr'", "did you mean 'upper'?"),
        ("a.lenght()", "lenght", "no function", ""),
        ("upper()", "upper", "does not take 0 arguments", "upper(text)"),
        ("has(1 + 1)", "1 + 1", "asks for a path", "has(a.b)"),
        ("has(a, b)", "has", "one path", ""),
        ("map(a, x, x)", "map", "called on a list", "list.map(x, value)"),
        ("a.map(x.y, x)", ".", "',' must stand here", "list.map(x, value)"),
        ("a.all(1, true)", "1", "names its variable first", "list.all(x, condition)"),
        ("a.filter(x, x, x)", "x, x, x)", "wrong number of parts", "list.filter"),
        ("{a: 1}", "a", "'a' is not quoted", "\"a\""),
        ("matches(a, '(')", "'('", "no pattern", ""),
        ("${ a } > 3", " > 3", "more: > 3", "one ${ … }"),
        ("${ a", "${", "never closed", "YAML"),
        ("a = b", "=", "no operator", "=="),
        ("in", "in", "a value must stand here", ""),
        ("a == 'b", "'", "never closed", ""),
    ] {
        let error = Expression::compile(source).unwrap_err();
        assert_eq!(&source[error.range.clone()], place, "{source}: {error}");
        assert!(error.message.contains(message), "{source}: {error}");
        assert!(error.help.clone().unwrap_or_default().contains(help), "{source}: {:?}", error.help);
    }
}

#[test]
fn nesting_is_bounded_however_it_is_written() {
    for source in [
        "(".repeat(4000),
        "[".repeat(4000),
        "!".repeat(4000),
        "-".repeat(4000),
        "{'a':".repeat(800),
        "a[".repeat(2000),
        "f(".repeat(2000),
        "a?".repeat(2000),
        format!("{}1", "1-".repeat(100)),
        format!("a{}", "[0]".repeat(100)),
        format!("{}a{}", "(".repeat(70), ")".repeat(70)),
    ] {
        let error = Expression::compile(&source).unwrap_err();
        assert!(error.message.contains("64 levels deep") || error.message.contains("no function"), "{error}");
    }
    assert!(Expression::compile(&"(".repeat(100_000)).unwrap_err().message.contains("4096 bytes"));
    assert!(Expression::compile(&format!("{}a{}", "(".repeat(60), ")".repeat(60))).is_ok());
}

#[test]
fn nodes_are_bounded_and_flat_chains_are_not_deep() {
    assert!(Expression::compile(&vec!["a"; 300].join("||")).unwrap_err().message.contains("500 parts"));
    assert!(Expression::compile(&vec!["a"; 200].join("||")).is_ok());
    assert!(
        Expression::compile(&format!("[{}]", "1,".repeat(600))).unwrap_err().message.contains("500 parts")
    );
    assert!(Expression::compile(&format!("[{}]", "1,".repeat(400))).is_ok());
}
