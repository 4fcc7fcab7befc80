//! PEM as people keep it: with comments, other line breaks and other blocks, in one line, cut off.

use kete_credentials::store::{Format, StoreError, read_private_key, unescape_pem_text};
use proptest::prelude::*;

use crate::fixtures::{bytes, checked, names, read, text};

fn trusted(text: &str) -> Result<Vec<String>, StoreError> {
    Ok(names(&read(Format::Pem, text.as_bytes(), None)?.trusted()?))
}

fn both() -> String {
    text("ca.pem") + &text("intermediate.pem")
}

const BOTH: [&str; 2] = ["kete test authority", "kete test intermediate"];

#[test]
fn line_breaks_and_margins_do_not_matter() {
    let lf = both();
    let indented: String = lf.lines().map(|line| format!("\t  {line} \n")).collect();
    for text in [
        lf.replace('\n', "\r\n"),
        lf.replace('\n', "\r"),
        lf.replace('\n', " "),
        lf.replace('\n', "\n\n"),
        format!("\u{feff}{lf}"),
        lf.trim_end().to_owned(),
        indented,
    ] {
        assert_eq!(trusted(&text).unwrap(), BOTH, "{text:?}");
    }
}

#[test]
fn text_between_blocks_is_a_comment() {
    let (ca, intermediate) = (text("ca.pem"), text("intermediate.pem"));
    let commented_out: String = ca.lines().map(|line| format!("# {line}\n")).collect();
    let text = format!(
        "Bag Attributes\n    friendlyName: ca: x\n{ca}\n{commented_out}\nsee -----BEGIN \
         CERTIFICATE-----\n{intermediate}the end"
    );
    assert_eq!(trusted(&text).unwrap(), BOTH);
    // In Latin-1, too.
    let latin = [&b"Zertifikat f\xFCr Tests\n"[..], &bytes("ca.pem")].concat();
    assert!(read(Format::Pem, &latin, None).is_ok());
}

#[test]
fn blocks_that_mean_nothing_here_are_passed_over() {
    let text = [
        text("stores/revocation-list.pem"),
        text("stores/client-p256-sec1.pem"),
        text("stores/request.pem"),
        text("stores/client-p256-public.pem"),
        "-----BEGIN SOMETHING ELSE-----\n!!!\n-----END SOMETHING ELSE-----\n".to_owned(),
    ]
    .concat();
    let store = read(Format::Pem, text.as_bytes(), None).unwrap();
    let identity = store.identity(None, None).unwrap();
    assert_eq!(checked(&identity), ["kete-p256", "kete test intermediate"]);
}

#[test]
fn the_old_label_of_certificates_is_known() {
    let old = text("ca.pem").replace(" CERTIFICATE", " X509 CERTIFICATE");
    assert_eq!(trusted(&old).unwrap(), ["kete test authority"]);
}

#[test]
fn a_block_of_headers_is_not_content() {
    let text = text("ca.pem").replace(
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nComment: x\nMore: y\n\n",
    );
    assert_eq!(trusted(&text).unwrap(), ["kete test authority"]);
}

#[test]
fn broken_blocks_are_errors_with_their_line() {
    let ca = text("ca.pem");
    let lines = ca.lines().count();
    let without_end: String = ca
        .lines()
        .filter(|line| !line.contains("END"))
        .map(|line| format!("{line}\n"))
        .collect();
    let second = |broken: &str| format!("{ca}{broken}");
    let cases = [
        (
            second(&without_end),
            lines + 1,
            "`-----END CERTIFICATE-----` is missing; the text is cut off",
        ),
        (
            format!("{without_end}{ca}"),
            1,
            "no `-----END CERTIFICATE-----` ends the block that begins here",
        ),
        (
            second(&ca.replace("-----END CERTIFICATE-----", "-----END KEY-----")),
            lines + 1,
            "no `-----END CERTIFICATE-----` ends the block that begins here",
        ),
        (
            second("-----BEGIN CERTIFICATE----\n"),
            lines + 1,
            "this line must end with five dashes",
        ),
        (
            second(&ca.replacen("\nMII", "\nM*I", 1)),
            lines + 2,
            "`*` is not a character of base64",
        ),
        (
            second(&ca.replace('\n', "\\n")),
            lines + 1,
            "`\\\\` is not a character of base64",
        ),
        (
            second("-----BEGIN CERTIFICATE-----\nTUlJ=QQ\n-----END CERTIFICATE-----\n"),
            lines + 3,
            "the base64 that ends here is not whole",
        ),
        (
            second("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
            lines + 1,
            "the block is empty",
        ),
    ];
    for (text, line, reason) in cases {
        let error = trusted(&text).unwrap_err();
        let reason = reason.to_owned();
        assert_eq!(error, StoreError::BrokenPem { line, reason }, "{text}");
    }
}

#[test]
fn a_block_that_holds_no_certificate_is_an_error_with_its_line() {
    let ca = text("ca.pem");
    let block = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n";
    let error = trusted(&format!("{ca}{block}")).unwrap_err().to_string();
    let expected = format!(
        "line {} of the PEM text: the block that begins here holds no certificate: ",
        ca.lines().count() + 1
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn escaped_line_breaks_become_line_breaks() {
    for broken in ["\\n", "\\r\\n"] {
        let escaped = text("clients/p256.pem").replace('\n', broken);
        assert!(trusted(&escaped).is_err());
        assert_eq!(
            trusted(&unescape_pem_text(&escaped)).unwrap(),
            ["kete-p256", "kete test intermediate"]
        );
    }
    assert_eq!(unescape_pem_text("a\\nb\nc\\r\\nd"), "a\nb\nc\nd");
}

#[test]
fn a_large_text_takes_one_pass() {
    // Looking back over the line for each would take hours.
    for text in [
        "x -----BEGIN ",
        "-----BEGIN \n",
        "     \t",
        "-----END X-----",
    ] {
        let text = text.repeat(200_000);
        assert!(trusted(&text).is_err());
    }
    let ca = text("ca.pem").replace('\n', " ");
    assert_eq!(trusted(&ca.repeat(1000)).unwrap(), [BOTH[0]]);
}

#[test]
fn cut_anywhere_it_is_an_error_or_has_fewer_certificates() {
    let whole = both();
    let first = text("ca.pem").trim_end().len();
    for length in 0..whole.trim_end().len() {
        match trusted(&whole[..length]) {
            Ok(found) => {
                assert!(length >= first, "{length}");
                assert_eq!(found, [BOTH[0]], "{length}");
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

/// Texts that are nearly PEM.
const NEARLY: &str = "(-----BEGIN |-----END |CERTIFICATE|-----|\n|A|:|\\PC){0,60}";

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in NEARLY) {
        let _ = read(Format::Pem, text.as_bytes(), None);
        let _ = read(Format::Pkcs7, text.as_bytes(), None);
        let _ = read_private_key(text.as_bytes(), None);
    }

    #[test]
    fn a_certificate_is_found_among_any_comments(
        before in "[a-z#: \n]{0,80}",
        after in "[a-z#: \n]{0,80}",
    ) {
        let text = format!("{before}\n{}{after}", text("ca.pem"));
        prop_assert_eq!(trusted(&text).unwrap(), [BOTH[0]]);
    }
}
