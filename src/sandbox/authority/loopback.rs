//! TLS servers and clients on loopback that trust only the authority's root.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::{Authority, Error, Validity};

/// An HTTPS server on 127.0.0.1. It stops when it is dropped.
pub struct LoopbackServer {
    address: SocketAddr,
    handle: ServerHandle,
}

/// The host name for clients that resolve names by DNS.
pub const LOOPBACK_NAME: &str = "localhost";

impl Authority {
    /// A TLS configuration for a server with these DNS names: TLS 1.2 and 1.3, ring as provider.
    pub fn server_config(&self, names: &[&str]) -> Result<ServerConfig, Error> {
        let now_unix_s = time::OffsetDateTime::now_utc().unix_timestamp();
        self.server_config_valid(names, Validity::in_days(now_unix_s, -1, 30))
    }

    fn server_config_valid(&self, names: &[&str], validity: Validity) -> Result<ServerConfig, Error> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let leaf = self.leaf(names, &key, validity)?;
        let private = PrivatePkcs8KeyDer::from(key.private_key_to_pkcs8()?).into();
        Ok(ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.to_der()?.into()], private)?)
    }

    /// An HTTP client that trusts only this root, follows no redirects and resolves each host to its loopback address.
    pub fn client(&self, hosts: &[(&str, SocketAddr)]) -> Result<reqwest::Client, Error> {
        Ok(self.client_builder(hosts)?.build()?)
    }

    /// Like [`Self::client`], as a builder.
    pub fn client_builder(&self, hosts: &[(&str, SocketAddr)]) -> Result<reqwest::ClientBuilder, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate_der().into())?;
        let mut tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CLIENT_CONNECT_TIMEOUT)
            .timeout(CLIENT_TIMEOUT);
        for (host, address) in hosts {
            client = client.resolve(host, *address);
        }
        Ok(client)
    }

    /// Starts an HTTPS server on a free port of 127.0.0.1 in the caller's tokio runtime.
    pub async fn serve<F>(&self, names: &[&str], routes: F) -> Result<LoopbackServer, Error>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        self.serve_with(self.server_config(names)?, routes).await
    }

    /// Starts a server that answers 404 to every request, with a TLS certificate of another validity. A client with a
    /// wrong clock sees every server like this.
    pub async fn serve_with_validity(&self, names: &[&str], validity: Validity) -> Result<LoopbackServer, Error> {
        self.serve_with(self.server_config_valid(names, validity)?, |_| ()).await
    }

    async fn serve_with<F>(&self, tls: ServerConfig, routes: F) -> Result<LoopbackServer, Error>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?.into_std()?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(move || App::new().configure(routes.clone()))
            .workers(1)
            .disable_signals()
            .listen_rustls_0_23(listener, tls)?
            .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(LoopbackServer { address, handle })
    }
}

impl LoopbackServer {
    /// The listening address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server at once, drops open requests, and waits until it has stopped.
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        // The call itself sends the command; the future only waits until the server has stopped.
        drop(self.handle.stop(false));
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

const CLIENT_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CLIENT_TIMEOUT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_clients_of_the_authority_trust_its_servers() {
        let authority = Authority::new().unwrap();
        let server = authority.serve(&["a.example"], |_| ()).await.unwrap();
        let hosts = ["a.example", "b.example"].map(|name| (name, server.address()));
        let own = authority.client(&hosts).unwrap();
        let answer = own.get("https://a.example/").send().await.unwrap();
        assert_eq!(answer.status(), 404);
        let other = Authority::new().unwrap().client(&hosts).unwrap();
        for (client, url) in [(own, "https://b.example/"), (other, "https://a.example/")] {
            assert!(client.get(url).send().await.unwrap_err().is_connect());
        }
        server.stop().await;
        assert!(tokio::net::TcpStream::connect(server.address()).await.is_err());
    }
}
