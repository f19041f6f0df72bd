//! Encrypted connections, with certificates made for the test.

use std::path::Path;
use std::process::Command;

use oarlock_test_servers::rabbitmq;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_connection_works_and_a_stranger_is_not_trusted() {
    // As the binary does; another test of this process may have done it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let configuration = vec![
        format!("listeners.ssl.1 = 127.0.0.1:{port}"),
        format!("ssl_options.cacertfile = {}", file("ca.pem")),
        format!("ssl_options.certfile = {}", file("server.pem")),
        format!("ssl_options.keyfile = {}", file("server.key")),
        "ssl_options.verify = verify_none".to_owned(),
    ];
    let options = rabbitmq::Options { configuration, ..rabbitmq::Options::default() };
    let _server = oarlock_test_servers::RabbitMq::start(options).unwrap();
    let uri = format!("amqps://guest:guest@127.0.0.1:{port}");

    let rabbitmq = connect(format!("{uri}?cacertfile={}", file("ca.pem")));
    ready(&rabbitmq).await;
    let queue = declare(&rabbitmq, "q").await;
    publish(&rabbitmq, &queue, 5).await.unwrap();
    let mut consumer = consume(&rabbitmq, &queue, 1).await.unwrap();
    assert_eq!(number(&receive(&mut consumer, 1).await.unwrap()[0]), 5);

    let told = |health: &Health| matches!(health, Health::Down(reason) if reason.starts_with("TLS with"));
    health(&connect(uri), told).await;
}

/// An authority and a certificate of it for 127.0.0.1.
fn make_certificates(folder: &Path) {
    std::fs::write(folder.join("extensions"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for arguments in [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"),
        format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile extensions"
            .to_owned(),
    ] {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}
