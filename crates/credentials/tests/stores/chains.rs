//! Which certificates become the chain, and in which order.

use kete_credentials::store::{Format, read_private_key};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};

use crate::fixtures::{bytes, checked, read, text};

struct Made {
    key: KeyPair,
    params: CertificateParams,
    pem: String,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    params
}

fn root(name: &str) -> Made {
    let key = KeyPair::generate().unwrap();
    let params = params(name);
    let pem = params.self_signed(&key).unwrap().pem();
    Made { key, params, pem }
}

fn issued(name: &str, issuer: &Made) -> Made {
    issued_for(KeyPair::generate().unwrap(), name, issuer)
}

fn issued_for(key: KeyPair, name: &str, issuer: &Made) -> Made {
    let params = params(name);
    let by = Issuer::from_params(&issuer.params, &issuer.key);
    let pem = params.signed_by(&key, &by).unwrap().pem();
    Made { key, params, pem }
}

fn chain(pems: &[&str], key: &KeyPair) -> (Vec<String>, Vec<Vec<u8>>) {
    let key = read_private_key(key.serialize_pem().as_bytes(), None).unwrap();
    let store = read(Format::Pem, pems.concat().as_bytes(), None).unwrap();
    let identity = store.identity(None, Some(key)).unwrap();
    let names = checked(&identity);
    (names, identity.chain.iter().map(|c| c.to_vec()).collect())
}

#[test]
fn strangers_are_left_out() {
    let pems = [
        text("other-ca.pem"),
        text("clients/rsa.pem"),
        text("ca.pem"),
        text("stores/bundle-200.pem"),
        text("clients/p256.pem"),
    ]
    .concat();
    let store = read(Format::Pem, pems.as_bytes(), None).unwrap();
    let key = read_private_key(&bytes("clients/p256.key"), None).unwrap();
    let identity = store.identity(None, Some(key)).unwrap();
    assert_eq!(
        checked(&identity),
        ["kete-p256", "kete test intermediate", "kete test authority"]
    );
}

#[test]
fn of_two_issuers_with_one_name_the_one_that_is_named_by_its_key_counts() {
    let root = root("root");
    let (old, new) = (issued("issuer", &root), issued("issuer", &root));
    let leaf = issued("leaf", &new);
    for pems in [
        [&leaf.pem, &old.pem, &new.pem, &root.pem],
        [&new.pem, &old.pem, &root.pem, &leaf.pem],
    ] {
        let (names, chain) = chain(&pems.map(String::as_str), &leaf.key);
        assert_eq!(names, ["leaf", "issuer", "root"]);
        let expected = read(Format::Pem, new.pem.as_bytes(), None).unwrap();
        assert_eq!(chain[1], expected.trusted().unwrap()[0].as_ref());
    }
}

#[test]
fn authorities_that_signed_each_other_end_somewhere() {
    let (a, b) = (root("a"), root("b"));
    let key = |made: &Made| KeyPair::from_pem(&made.key.serialize_pem()).unwrap();
    let a_by_b = issued_for(key(&a), "a", &b);
    let b_by_a = issued_for(key(&b), "b", &a);
    let leaf = issued("leaf", &a);
    let (names, _) = chain(&[&leaf.pem, &a_by_b.pem, &b_by_a.pem], &leaf.key);
    assert_eq!(names, ["leaf", "a", "b"]);
}

#[test]
fn a_client_that_issued_itself_is_its_own_chain() {
    let alone = root("alone");
    let other = root("other");
    let (names, _) = chain(&[&other.pem, &alone.pem], &alone.key);
    assert_eq!(names, ["alone"]);
}

#[test]
fn a_certificate_that_is_there_twice_is_sent_once() {
    let root = root("root");
    let leaf = issued("leaf", &root);
    let (names, _) = chain(&[&root.pem, &leaf.pem, &leaf.pem, &root.pem], &leaf.key);
    assert_eq!(names, ["leaf", "root"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_in_the_file_does_not_matter(order in Just([0, 1, 2, 3, 4]).prop_shuffle()) {
        let files = ["clients/p256.pem", "ca.pem", "other-ca.pem", "intermediate.pem",
            "clients/rsa.pem"];
        let texts: Vec<String> = order.into_iter().map(|index| text(files[index])).collect();
        let store = read(Format::Pem, texts.concat().as_bytes(), None).unwrap();
        let key = read_private_key(&bytes("clients/p256.key"), None).unwrap();
        let identity = store.identity(None, Some(key)).unwrap();
        prop_assert_eq!(
            checked(&identity),
            ["kete-p256", "kete test intermediate", "kete test authority"]
        );
    }
}
