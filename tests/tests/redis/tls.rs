//! TLS, with a certificate that this machine trusts only where it is told so.

use std::process::Command;

use super::server::{Server, free_port};
use super::*;

/// Set where this binary runs itself, with the authority of the certificate.
const ADDRESS: &str = "OARLOCK_TEST_TLS_ADDRESS";

#[tokio::test]
async fn a_server_with_tls_is_used_where_its_certificate_is_trusted() {
    if let Ok(url) = std::env::var(ADDRESS) {
        return use_it(&url).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    make_certificate(&file("key.pem"), &file("certificate.pem"));
    let port = free_port().to_string();
    let (key, certificate) = (file("key.pem"), file("certificate.pem"));
    let arguments = ["--tls-port", &port, "--tls-auth-clients", "no", "--tls-key-file", &key];
    let server = Server::start(&[&arguments[..], &["--tls-cert-file", &certificate]].concat());
    let url = format!("rediss://127.0.0.1:{port}");

    let text = unusable(Redis::connect(settings(&url)).unwrap().partitions(4).await);
    assert!(text.contains("TLS") && text.contains("SSL_CERT_FILE"), "{text}");
    let plain = format!("rediss://127.0.0.1:{}", server.port());
    let error = Redis::connect(settings(&plain)).unwrap().partitions(4).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("only for a port with TLS") || text.contains("a port without TLS"), "{text}");
    let text =
        unavailable(Redis::connect(settings(&url.replace("rediss", "redis"))).unwrap().partitions(4).await);
    assert!(text.contains("rediss://"), "{text}");

    // The trust of a process is fixed when it begins.
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "tls::a_server_with_tls_is_used_where_its_certificate_is_trusted"]);
    let outcome = again.env(ADDRESS, &url).env("SSL_CERT_FILE", &certificate).output().unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stdout));
}

async fn use_it(url: &str) {
    let store = store(url).await;
    let (token, ..) = own(&store, 0, None).await;
    store.commit(0, &token, 1, &[set(&run(1), "a", &"x".repeat(1_000_000))]).await.unwrap();
    assert_eq!(hash(&store, 0, &run(1)).await[0].1.len(), 1_000_000);
}

fn make_certificate(key: &str, certificate: &str) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]);
    let outcome = openssl.args(["-keyout", key, "-out", certificate]).output().unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
}
