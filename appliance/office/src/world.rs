//! The small world of `pillarbox_outbound`'s tests with an office in it.

#![allow(clippy::unwrap_used)] // tests may

use std::ops::Deref;
use std::sync::Arc;

use pillarbox_outbound::tests::authority;
use pillarbox_outbound::tests::world;
use pillarbox_platform::config::Config;
use pillarbox_platform::tls::Certificates;
use rustls::ServerConfig;

use crate::{Office, naming};

pub use pillarbox_outbound::tests::world::ANN;

pub struct World {
    pub office: Office,
    out: world::World,
}

impl Deref for World {
    type Target = world::World;
    fn deref(&self) -> &world::World {
        &self.out
    }
}

impl World {
    pub async fn new() -> World {
        World::around(world::World::new().await)
    }

    /// A box that is unclaimed yet and has no name; one domain is there.
    pub async fn empty() -> World {
        World::around(world::World::empty().await)
    }

    /// A world that trusts an authority, and the TLS of a server with a certificate of it.
    pub async fn with_authority(name: &str) -> (World, Arc<ServerConfig>) {
        let (out, tls) = authority::world_with_authority(name).await;
        (World::around(out), tls)
    }

    fn around(out: world::World) -> World {
        let config = &out.config;
        let (certificate, key) = config.tls_files();
        let certificates = Certificates::open(
            certificate,
            key,
            Some(config.data.join("tls").join("issued.pem")),
            &["box.test".into()],
        )
        .unwrap();
        naming::reload(&out.settings, &out.store, config.clone());
        let office = Office::new(
            out.settings.clone(),
            Arc::new(certificates),
            out.outbound.clone(),
            out.handles.clone(),
        );
        World { office, out }
    }

    /// Other settings from now on.
    pub fn change_config(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.out.config.clone();
        change(&mut config);
        naming::reload(&self.office.settings, &self.office.store, config);
    }

    /// A certificate for these names from an authority of the test's own.
    pub fn install_certificate(&self, names: &[&str]) {
        let authority = rcgen::Issuer::new(
            rcgen::CertificateParams::default(),
            rcgen::KeyPair::generate().unwrap(),
        );
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params =
            rcgen::CertificateParams::new(names.iter().map(|n| n.to_string()).collect::<Vec<_>>())
                .unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, names[0]);
        let chain = params.signed_by(&key, &authority).unwrap().pem();
        self.office.certificates.install(&chain, &key.serialize_pem()).unwrap();
    }
}
