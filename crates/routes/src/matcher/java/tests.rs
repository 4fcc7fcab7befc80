//! Java expressions: what each construct means, which engine it needs, and what is refused.
//!
//! The expected answers of the table were produced by `java.util.regex` of Java 25, with
//! `CASE_INSENSITIVE` and `matches()`.

use super::{ExpressionProblem, translate};
use crate::matcher::Matcher;

fn accepts(pattern: &str, text: &str) -> bool {
    Matcher::parse("m", &format!("regex:{pattern}"))
        .unwrap()
        .accepts(text)
}

fn problem(pattern: &str) -> (usize, ExpressionProblem) {
    match translate(pattern) {
        Ok(_) => panic!("{pattern} should be refused"),
        Err(error) => (error.position, error.problem),
    }
}

/// An expression, texts that it accepts, texts that it refuses.
const MEANINGS: &[(&str, &[&str], &[&str])] = &[
    // the whole text, in any ASCII letter case
    (
        "LOGIN",
        &["LOGIN", "login", "Login"],
        &["LOGIN_ERROR", "XLOGIN", "LOGIN\n"],
    ),
    (
        "LOGIN|LOGOUT",
        &["login", "LOGOUT"],
        &["LOGI", "LOGINLOGOUT"],
    ),
    ("a|ab", &["a", "ab"], &["abb"]),
    ("(LOGIN|USER)_.*", &["LOGIN_ERROR", "USER_"], &["LOGIN"]),
    ("x||y", &["x", "y"], &["xy"]),
    // the dot and the anchors
    (
        "a.b",
        &["a b", "aéb", "a\u{1F600}b", "a\tb"],
        &["a\nb", "a\rb", "a\u{85}b", "a\u{2028}b"],
    ),
    ("(?s)a.b", &["a\nb", "a\u{2029}b"], &["ab"]),
    ("(?s:a.)b.", &["a\nbc"], &["a\nb\n"]),
    ("^LOGIN$", &["LOGIN"], &["LOGIN\n", "^LOGIN$"]),
    ("^LOGIN$|^LOGOUT$", &["login", "logout"], &["loginlogout"]),
    ("(a$|b$)", &["a", "b"], &["a\n"]),
    (r"a$\n", &["a\n"], &["a", "a\n\n"]),
    (r"a$\r\n", &["a\r\n"], &["a\n"]),
    (r"a\r$\n", &[], &["a\r\n"]),
    (r"a$\r", &["a\r"], &["a\r\n"]),
    (r"a\Z\u0085", &["a\u{85}"], &["a"]),
    (r"\Aa\z", &["a"], &["a\n", "ba"]),
    ("a^b", &[], &["ab", "a^b"]),
    ("a(?=$)", &["a"], &["ab"]),
    // shorthands are ASCII
    (r"\d+", &["0123456789"], &["٣", "１", "a"]),
    (r"\w+", &["aZ_9"], &["é", "a-b"]),
    (
        r"a\sb",
        &["a b", "a\tb", "a\u{B}b", "a\rb"],
        &["a\u{A0}b", "a\u{85}b"],
    ),
    (
        r"a\hb",
        &["a b", "a\u{A0}b", "a\u{3000}b", "a\u{180E}b"],
        &["a\nb"],
    ),
    (r"a\vb", &["a\nb", "a\u{B}b", "a\u{2028}b"], &["a b"]),
    (r"\D\W\S\H\V", &["é-xxx"], &["1-xxx", "éaxxx"]),
    (
        r"a\Rb",
        &["a\r\nb", "a\nb", "a\rb", "a\u{85}b"],
        &["a\n\rb", "ab"],
    ),
    (r"a\R\nb", &["a\r\nb", "a\n\nb"], &["a\nb"]),
    // escapes
    (
        r"\x41\u0042\x{43}\0104\cA",
        &["ABCD\u{1}", "abcd\u{1}"],
        &["ABCD"],
    ),
    (r"\t\n\r\f\a\e", &["\t\n\r\u{C}\u{7}\u{1B}"], &["tnrfae"]),
    (r"\uD83D\uDE00", &["\u{1F600}"], &["\u{1F601}"]),
    (r"\.\*\\\-\_\é", &[r".*\-_é"], &[r".*\-_É"]),
    (r"\018", &["\u{1}8"], &["\u{10}8"]),
    (r"\0400", &["\u{20}0"], &["\u{100}"]),
    (r"a]b}c", &["a]b}c"], &["ab"]),
    (r"\Qa.b*\E", &["a.b*", "A.B*"], &["axb"]),
    (r"\Qab\E{2}", &["abb"], &["abab"]),
    (r"x\Q.", &["x."], &["xy"]),
    (r"\Q\E\Qa\E", &["a"], &["aa"]),
    (r"a\Q|\Eb", &["a|b"], &["a"]),
    // classes
    ("[a-c]+", &["abcABC"], &["abd"]),
    ("[^a-c]", &["d", "é", "-"], &["a", "A"]),
    ("[]a]", &["]", "a"], &["b"]),
    ("[^]a]", &["b"], &["]", "A"]),
    ("[a-]", &["a", "-"], &["b"]),
    ("[-a]", &["a", "-"], &["b"]),
    ("[a-c-e]", &["b", "-", "e"], &["d"]),
    ("[a^]", &["a", "^"], &["b"]),
    ("[a-d[m-p]]", &["b", "N"], &["e"]),
    ("[a-z&&[def]]", &["d", "E"], &["a"]),
    ("[a-z&&def]", &["d", "F"], &["a"]),
    ("[a-z&&[^bc]]", &["a", "D"], &["b", "C"]),
    ("[^a-z&&[def]]", &["a", "1"], &["d", "F"]),
    ("[a-f&&b-h&&c-z]", &["c", "f"], &["b", "g"]),
    ("[ab[cd]&&[bc]]", &["b", "C"], &["a", "d"]),
    ("[a-z&&x[y]]", &["x", "y"], &["a"]),
    ("[a&b]", &["a", "&", "b"], &["c"]),
    ("[ab&&cd]", &[], &["a", "c"]),
    ("[Z-a]", &["z", "A", "_"], &["y", "b"]),
    (r"[\d\-x]", &["5", "-", "X"], &["a"]),
    (r"[^\w]", &["-", "é"], &["a", "_"]),
    (r"[\D&&[^x]]", &["y"], &["5", "x", "X"]),
    (r"[\Q]-^\E]", &["]", "-", "^"], &["a"]),
    (r"[\u0041-\x43]", &["b"], &["d"]),
    (r"[.$|(]", &[".", "$", "|", "("], &["a"]),
    // properties
    (r"\p{Lower}", &["a", "A"], &["é", "1"]),
    (
        r"\p{Upper}\p{Alpha}\p{Digit}\p{Alnum}",
        &["aZ9z"],
        &["aZzz"],
    ),
    (
        r"\p{Punct}\p{Graph}\p{Print}\p{Blank}",
        &["!! \t"],
        &["a! \t"],
    ),
    (
        r"\p{XDigit}\p{Space}\p{Cntrl}\p{ASCII}",
        &["f \u{7F}~"],
        &["g \u{7F}~"],
    ),
    (r"\p{Lu}", &["É", "é", "a"], &["1"]),
    (r"\P{Lu}", &["1"], &["é", "A"]),
    (r"(?-i)\p{Lu}\P{Lu}", &["Éé"], &["éé"]),
    (r"\pL\PL", &["é1"], &["éé"]),
    (r"\p{IsAlphabetic}\p{IsL}\p{gc=Nd}", &["éé٣"], &["ééa"]),
    (
        r"\p{IsLatin}\p{sc=Greek}\p{script=Cyrillic}",
        &["éαж"],
        &["ααж"],
    ),
    (r"[\p{L}&&[^\p{Lu}]]", &["ʰ"], &["a", "É"]),
    // counts
    (
        "a{2}b{2,}c{1,2}",
        &["aabbc", "aabbbbcc"],
        &["abbc", "aabbccc"],
    ),
    ("a??b*?c+?", &["c", "abbcc"], &["ab"]),
    ("a{2}?", &["aa"], &["a"]),
    ("(ab){2}", &["abAB"], &["ab"]),
    // groups
    ("(?:a|b)(?<n>c)", &["ac"], &["ab"]),
    ("(?i)a(?-i)b", &["ab", "Ab"], &["aB"]),
    ("(?-i:a)b", &["ab", "aB"], &["Ab"]),
    ("(?-i)a|b", &["a", "b"], &["A", "B"]),
    ("((?-i)a)b", &["aB"], &["AB"]),
    ("(?-i)[a-c]", &["b"], &["B"]),
    // what needs to go back
    ("(?!LOGIN).*", &["LOGOUT"], &["LOGIN", "LOGIN_ERROR"]),
    ("(?=LOG).*T", &["LOGOUT"], &["LOGIN", "XT"]),
    (".*(?<!_ERROR)", &["LOGIN"], &["LOGIN_ERROR"]),
    (".*(?<=_ERROR)", &["LOGIN_ERROR"], &["LOGIN"]),
    ("(?<=a|bc)d", &[], &["d", "ad"]),
    ("a+(?:(?=b)b)*a+", &["aa", "aba"], &["a", "b"]),
    ("(?:a+(?:(?=b)b)*a+)*c", &["aac", "c"], &["ac"]),
    (r"(\w)\1", &["aa", "aA"], &["ab"]),
    (r"(?<x>é)\k<x>", &["éé"], &["éÉ"]),
    (r"(k)\1", &["kK"], &["k\u{212A}"]),
    (r"(a)(b)\2\1", &["abBA"], &["abab"]),
    (r"(a)\10", &["aa0"], &["a\n"]),
    (r"(?:\ba)?b", &["b", "ab"], &["aab"]),
    (r"a\b.*", &["a-b", "a"], &["ab"]),
    (r"a\B.*", &["ab"], &["a-b", "a"]),
];

#[test]
fn expressions_mean_what_they_mean_in_java() {
    for (pattern, accepted, refused) in MEANINGS {
        for text in *accepted {
            assert!(accepts(pattern, text), "{pattern} should accept {text:?}");
        }
        for text in *refused {
            assert!(!accepts(pattern, text), "{pattern} should refuse {text:?}");
        }
    }
}

#[test]
fn the_backtracking_engine_is_used_only_where_it_must_be() {
    for pattern in [
        "LOGIN.*",
        "^a$",
        "(a|b$)",
        "a$|b",
        r"[\p{L}&&[^x]]",
        r"\Qa\E{2}",
        r"\R\z",
    ] {
        assert!(!translate(pattern).unwrap().backtracking, "{pattern}");
    }
    for pattern in ["(?!a)b", "(?<=a)b", r"(a)\1", r"\bA", "a$b", r"a\Z"] {
        assert!(translate(pattern).unwrap().backtracking, "{pattern}");
    }
}

#[test]
fn mistakes_in_groups_and_repetitions_are_refused_with_their_place() {
    use ExpressionProblem::{
        BadGroupName, CountTooLarge, MalformedCount, NoSuchGroup, NothingToRepeat, TooDeep,
        UnclosedClass, UnclosedGroup, UnknownGroup, UnopenedGroup,
    };
    let cases = [
        ("a(b", 2, UnclosedGroup),
        ("a)b", 2, UnopenedGroup),
        ("a[b", 2, UnclosedClass),
        ("[]", 1, UnclosedClass),
        ("[a[b]", 1, UnclosedClass),
        (r"[\Qa]", 6, UnclosedClass),
        ("*a", 1, NothingToRepeat('*')),
        ("a**", 3, NothingToRepeat('*')),
        ("a+?*", 4, NothingToRepeat('*')),
        ("a|?", 3, NothingToRepeat('?')),
        ("{2}", 1, NothingToRepeat('{')),
        ("a{2}{3}", 5, NothingToRepeat('{')),
        ("^*", 2, NothingToRepeat('*')),
        ("(?=a)*", 6, NothingToRepeat('*')),
        ("(?i)*", 5, NothingToRepeat('*')),
        (r"a\Q\E*", 6, NothingToRepeat('*')),
        ("a{", 2, MalformedCount),
        ("a{x}", 2, MalformedCount),
        ("a{,2}", 2, MalformedCount),
        ("a{3,2}", 2, MalformedCount),
        ("a{2", 2, MalformedCount),
        ("a{1001}", 2, CountTooLarge { limit: 1000 }),
        ("a{99999999999}", 2, CountTooLarge { limit: 1000 }),
        (r"\1(a)", 1, NoSuchGroup("1".into())),
        (r"(a\1)", 3, NoSuchGroup("1".into())),
        (r"(a)\2", 4, NoSuchGroup("2".into())),
        (r"(?<n>a)\k<m>", 8, NoSuchGroup("k<m>".into())),
        ("(?<1>a)", 1, BadGroupName),
        ("(?<>a)", 1, BadGroupName),
        ("(?<n>a)(?<n>b)", 8, BadGroupName),
        (r"(?<n>a)\kn", 8, BadGroupName),
        ("(?P<n>a)", 3, UnknownGroup),
        ("(?#note)", 3, UnknownGroup),
        ("(?", 3, UnknownGroup),
        ("(?i--s)", 5, UnknownGroup),
        (&*"(".repeat(60), 51, TooDeep { limit: 50 }),
        (&*"[".repeat(60), 51, TooDeep { limit: 50 }),
    ];
    for (pattern, position, expected) in cases {
        assert_eq!(problem(pattern), (position, expected), "{pattern}");
    }
}

#[test]
fn mistakes_in_escapes_and_classes_are_refused_with_their_place() {
    use ExpressionProblem::{
        BadRange, EmptyIntersection, MalformedCode, TrailingBackslash, UnknownEscape,
        UnknownProperty,
    };
    let cases = [
        (r"ab\", 3, TrailingBackslash),
        (r"\j", 1, UnknownEscape('j')),
        (r"a\Eb", 2, UnknownEscape('E')),
        (r"[\A]", 2, UnknownEscape('A')),
        (r"[\1]", 2, UnknownEscape('1')),
        (r"\x4", 1, MalformedCode('x')),
        (r"\x{110000}", 1, MalformedCode('x')),
        (r"\x{}", 1, MalformedCode('x')),
        (r"\x{41", 1, MalformedCode('x')),
        (r"\u00", 1, MalformedCode('u')),
        (r"\uD83D", 1, MalformedCode('u')),
        (r"\08", 1, MalformedCode('0')),
        (r"\c", 1, MalformedCode('c')),
        ("[b-a]", 2, BadRange),
        (r"[a-\d]", 2, BadRange),
        ("[a&&]", 5, EmptyIntersection),
        ("[&&a]", 2, EmptyIntersection),
        ("[a&&&&b]", 3, EmptyIntersection),
        ("[a&&&b]", 3, EmptyIntersection),
        (r"\p{Nope}", 1, UnknownProperty("Nope".into())),
        (r"\p{lower}", 1, UnknownProperty("lower".into())),
        (
            r"\p{javaLowerCase}",
            1,
            UnknownProperty("javaLowerCase".into()),
        ),
        (r"\p{InGreek}", 1, UnknownProperty("InGreek".into())),
        (r"\p{L", 1, UnknownProperty("L".into())),
        (r"\p", 1, UnknownProperty(String::new())),
    ];
    for (pattern, position, expected) in cases {
        assert_eq!(problem(pattern), (position, expected), "{pattern}");
    }
}

#[test]
fn what_has_no_faithful_translation_is_refused() {
    for (pattern, what) in [
        ("(?m)^a$", "multi-line mode (?m) is not supported"),
        ("(?d)a", "Unix lines mode (?d) is not supported"),
        ("(?x)a b", "comments mode (?x) is not supported"),
        ("(?iu)a", "Unicode case mode (?u) is not supported"),
        ("(?U:a)", "Unicode classes mode (?U) is not supported"),
        (
            "a*+b",
            "a possessive repetition such as 'a*+' is not supported",
        ),
        (
            "(a|ab){2}+",
            "a possessive repetition such as 'a*+' is not supported",
        ),
        ("(?>a|ab)c", "an atomic group '(?>' is not supported"),
        (
            "(?<!a*)b",
            "a repetition without an upper bound in a look-behind is not supported",
        ),
        (
            "(?<=(a|b{2,}))b",
            "a repetition without an upper bound in a look-behind is not supported",
        ),
        (r"\R+", r"a repeated '\R' is not supported"),
        (r"\X", r"'\X' is not supported"),
        (r"\Ga", r"'\G' is not supported"),
        (r"\N{DIGIT ONE}", r"'\N{…}' is not supported"),
        (r"\b{g}", r"'\b' in a class or before '{' is not supported"),
        (r"[\b]", r"'\b' in a class or before '{' is not supported"),
        (
            r"[\Qa\E-z]",
            r"a range that begins inside '\Q…\E' is not supported",
        ),
        (
            "[a-z&&[b]c]",
            "a character after a nested class on the right of '&&' is not supported",
        ),
        (
            "(?:(?=a))?",
            "a repeated group that may be empty and holds an anchor or reference is not supported",
        ),
        (
            r"(\b|a){2}b",
            "a repeated group that may be empty and holds an anchor or reference is not supported",
        ),
        (
            r"(a)(?-i)\1",
            "a backreference beside '(?-i)' is not supported",
        ),
    ] {
        let (position, problem) = problem(pattern);
        assert_eq!(problem.to_string(), what, "{pattern}");
        assert!(position > 0);
    }
}

#[test]
fn messages_carry_place_and_help() {
    let error = translate(r"a\jb").err().unwrap();
    assert_eq!(
        error.to_string(),
        r"unknown escape sequence '\j' at character 2"
    );
    assert_eq!(
        error.help(),
        Some(r"write \\ for a backslash; in .properties files every backslash is doubled")
    );
    let error = translate("a{x}").err().unwrap();
    let message = "'{' does not begin a count such as {2}, {2,} or {2,5} at character 2";
    assert_eq!(error.to_string(), message);
    assert_eq!(
        error.help(),
        Some("write a backslash before it for the character itself")
    );
    assert_eq!(translate("[b-a]").err().unwrap().help(), None);
}
