//! What a person does about a refusal of the token service, by AADSTS number or else by OAuth word.
//!
//! Sentences only: whether something *is* a refusal is decided in `error`. The numbers are shown and
//! explained, and nothing but the transient ones is decided by them (Entra docs, "error codes").

/// Numbers that mean "busy, ask again" even with a status and a word that look like a refusal.
pub(super) const fn is_transient(number: u64) -> bool {
    matches!(number, 90_006 | 90_012 | 90_024 | 90_033 | 50_033 | 90_055)
}

/// By AADSTS number.
pub(super) const fn of_number(number: u64) -> Option<&'static str> {
    let remedy = match of_secret_or_token(number) {
        Some(remedy) => Some(remedy),
        None => of_assertion(number),
    };
    match remedy {
        Some(remedy) => Some(remedy),
        None => of_place(number),
    }
}

const fn of_secret_or_token(number: u64) -> Option<&'static str> {
    Some(match number {
        7_000_215 => "the client secret is wrong: put the secret's value (not its id) into the Secret",
        7_000_222 => "the client secret has expired: make a new one and put it into the Secret",
        7_000_218 => "the application is a confidential client: add clientSecretRef",
        900_144 => {
            "a value that the token service needs is empty: check the keys of the Secrets that the connection names"
        }
        65_001 | 90_094 => "consent is missing: an administrator of the tenant has to grant it",
        70_008 | 700_082 => "the refresh token has expired: an administrator has to sign in again",
        70_000 => {
            "the refresh token is not valid, or not any more: an administrator of this tenant has to sign in again"
        }
        _ => return None,
    })
}

/// Certificates and federated tokens.
const fn of_assertion(number: u64) -> Option<&'static str> {
    Some(match number {
        700_027 => {
            "Entra does not know the certificate: upload the certificate of the Secret to the application (Certificates & secrets)"
        }
        700_030 => {
            "the certificate's subject or issuer is not one that the application trusts: use the certificate that was uploaded to it"
        }
        50_013 => {
            "the assertion is not for this application: check that the certificate, or the federated credential, belongs to clientId"
        }
        500_133 => {
            "the assertion is outside of its time window: set the clock of the node; a federated token may have expired"
        }
        70_021 => {
            "no federated credential of the application matches: compare its issuer, subject (system:serviceaccount:NAMESPACE:NAME of the operator) and audience (api://AzureADTokenExchange); a new one takes some minutes to spread, and edusync asks again each minute"
        }
        700_211 => {
            "no federated credential of the application has the cluster's issuer: copy the issuer URL of the cluster into it, to the letter; a new one takes some minutes to spread"
        }
        700_212 => {
            "no federated credential of the application has this audience: it must be api://AzureADTokenExchange; a new one takes some minutes to spread"
        }
        700_213 | 7_002_137 | 7_002_138 => {
            "no federated credential of the application has this subject: it must be system:serviceaccount:NAMESPACE:NAME of the operator's ServiceAccount, in the same case; a new one takes some minutes to spread"
        }
        90_061 => {
            "Entra cannot fetch the cluster's OIDC documents: the issuer URL must be reachable from the internet"
        }
        _ => return None,
    })
}

/// Applications, tenants, clouds.
const fn of_place(number: u64) -> Option<&'static str> {
    Some(match number {
        700_016 | 70_001 => "the application is not known in this tenant: check clientId and tenantId",
        7_000_112 => "the application is disabled in this tenant: enable it",
        90_002 => "the tenant is not known: check tenantId",
        90_038 | 900_382 => {
            "the tenant belongs to another cloud: authority and graph.endpoint must be those of the tenant's cloud"
        }
        500_011 | 70_011 | 700_022 => {
            "the token service does not know Microsoft Graph by this address: graph.endpoint and authority must belong to one cloud"
        }
        _ => return None,
    })
}

/// By the word that OAuth has for it.
pub(super) fn of_word(word: &str) -> &'static str {
    match word {
        "invalid_client" => "the client secret or the certificate is wrong or has expired",
        "invalid_grant" => "the refresh token is not valid any more: an administrator has to sign in again",
        "unauthorized_client" => "the application is not known in this tenant, or disabled",
        "invalid_scope" | "invalid_resource" => {
            "the token service does not know Microsoft Graph by this address: graph.endpoint and authority must belong to one cloud"
        }
        "interaction_required" => "a policy of the tenant wants an administrator to sign in again",
        _ => "check the connection's credentials",
    }
}
