//! The two signature versions of SNS.

use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters};

/// The signature version of a message. The topic's owner chooses it; the receiver never falls back to the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureVersion {
    /// RSASSA-PKCS1-v1_5 with SHA-1.
    V1,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    V2,
}

impl SignatureVersion {
    /// Parses `1` or `2`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "1" => Some(Self::V1),
            "2" => Some(Self::V2),
            _ => None,
        }
    }

    pub(super) fn algorithm(self) -> &'static RsaParameters {
        match self {
            Self::V1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Self::V2 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}
