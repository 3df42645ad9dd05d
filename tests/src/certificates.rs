//! Keys and certificates of an authority, a broker and a client, made anew for each test.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

/// The password of [`Certificates::client_store`].
pub const STORE_PASSWORD: &str = "the password of a key store";

/// One authority and what it has signed; texts are PEM.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: String,
    /// The key of a broker at 127.0.0.1.
    pub broker_key: String,
    /// Its certificate.
    pub broker: String,
    /// The key of a client.
    pub client_key: String,
    /// Its certificate.
    pub client: String,
    /// Both as PKCS#12, under [`STORE_PASSWORD`].
    pub client_store: Vec<u8>,
}

struct Signed {
    key: PKey<Private>,
    certificate: X509,
}

impl Certificates {
    /// Makes them.
    ///
    /// # Panics
    ///
    /// When OpenSSL can't.
    pub fn make() -> Self {
        Self::try_make().expect("OpenSSL makes certificates")
    }

    fn try_make() -> Result<Self, ErrorStack> {
        let authority = sign("authority", None)?;
        let broker = sign("broker", Some(&authority))?;
        let client = sign("client", Some(&authority))?;
        let store = Pkcs12::builder()
            .name("client")
            .pkey(&client.key)
            .cert(&client.certificate)
            .build2(STORE_PASSWORD)?;
        Ok(Self {
            authority: text(authority.certificate.to_pem()?),
            broker_key: text(broker.key.private_key_to_pem_pkcs8()?),
            broker: text(broker.certificate.to_pem()?),
            client_key: text(client.key.private_key_to_pem_pkcs8()?),
            client: text(client.certificate.to_pem()?),
            client_store: store.to_der()?,
        })
    }
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).expect("PEM is text")
}

/// A new key with a certificate that `authority` signs, or itself.
fn sign(name: &str, authority: Option<&Signed>) -> Result<Signed, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    let subject = subject.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(&subject)?;
    let issuer = authority.map_or(subject.as_ref(), |authority| {
        authority.certificate.subject_name()
    });
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(2)?.as_ref())?;
    if authority.is_none() {
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    } else {
        let context = builder.x509v3_context(authority.map(|one| one.certificate.as_ref()), None);
        let names = SubjectAlternativeName::new()
            .ip("127.0.0.1")
            .build(&context)?;
        builder.append_extension(names)?;
    }
    let signer = authority.map_or(&key, |authority| &authority.key);
    builder.sign(signer, MessageDigest::sha256())?;
    let certificate = builder.build();
    Ok(Signed { key, certificate })
}
