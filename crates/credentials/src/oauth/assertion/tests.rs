use std::fs;

use super::*;

#[test]
fn ecdsa_signatures_change_their_form() {
    // r has a leading zero that keeps it positive, s is shorter than the curve's numbers.
    let der = [0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 7];
    assert_eq!(numbers_of_ecdsa(&der, 2), Some(vec![0x80, 1, 0, 7]));
    assert_eq!(
        numbers_of_ecdsa(&der, 4),
        Some(vec![0, 0, 0x80, 1, 0, 0, 0, 7])
    );
    assert_eq!(numbers_of_ecdsa(&der, 1), None, "r is too long");
}

#[test]
fn what_is_no_ecdsa_signature_is_none() {
    for der in [
        &[][..],
        &[0x30],
        &[0x30, 0],
        &[0x31, 6, 2, 1, 1, 2, 1, 1],
        &[0x30, 6, 2, 1, 1, 4, 1, 1],
        &[0x30, 6, 2, 1, 1, 2, 1],
        &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
        &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
        &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],
        &[0x30, 6, 2, 9, 1, 2, 1, 1],
    ] {
        assert_eq!(numbers_of_ecdsa(der, 32), None, "{der:?}");
    }
    let right = [0x30, 6, 2, 1, 1, 2, 1, 1];
    assert_eq!(numbers_of_ecdsa(&right, 1), Some(vec![1, 1]));
}

#[test]
fn a_file_with_a_jwt_is_trimmed_and_anything_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, " eyJh.eyJz.c2ln-_\n\n").unwrap();
    assert_eq!(read_jwt(&path).unwrap().reveal(), "eyJh.eyJz.c2ln-_");
    for content in [
        "abc",
        "a.b",
        "a.b.",
        "a..c",
        "a.b.c.d",
        "a.b.c=",
        "a.b.c\na.b.c",
        "Bearer a.b.c",
        "\n",
    ] {
        fs::write(&path, content).unwrap();
        let error = read_jwt(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(path.to_str().unwrap()) && !error.contains("a.b"),
            "{content:?}: {error}"
        );
    }
    let missing = directory.path().join("other");
    let error = read_jwt(&missing).unwrap_err().to_string();
    assert_eq!(error, format!("there is no file {}", missing.display()));
}
