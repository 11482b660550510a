//! The table of AADSTS numbers (Microsoft Entra authentication and authorization error codes), for errors that are
//! ordered by a fault. Errors with a cause are made where the cause is found.

use super::TokenRefusal;

/// Status, `error`, number, sentence. The statuses are inferred, except for 70021.
const CODES: [(u16, &str, u32, &str); 36] = [
    (400, "invalid_request", 70_021, "No matching federated identity record found for presented assertion."),
    (
        401,
        "invalid_client",
        700_211,
        "No matching federated identity record found for presented assertion issuer.",
    ),
    (
        401,
        "invalid_client",
        700_212,
        "No matching federated identity record found for presented assertion audience.",
    ),
    (
        401,
        "invalid_client",
        700_213,
        "No matching federated identity record found for presented assertion subject.",
    ),
    (
        401,
        "invalid_client",
        7_002_137,
        "The federated identity credential subject is not in a supported form.",
    ),
    (
        401,
        "invalid_client",
        7_002_138,
        "The assertion subject differs from the federated identity record in case.",
    ),
    (400, "invalid_request", 90_061, "Request to External OIDC endpoint failed."),
    (401, "invalid_client", 7_000_215, "Invalid client secret provided."),
    (401, "invalid_client", 7_000_222, "The provided client secret keys are expired."),
    (401, "invalid_client", 700_027, "Client assertion contains an invalid signature."),
    (401, "invalid_client", 700_030, "Invalid certificate - subject name in certificate is not authorized."),
    (401, "invalid_client", 50_013, "Assertion is invalid."),
    (401, "invalid_client", 500_133, "Assertion is not within its valid time range."),
    (
        401,
        "invalid_client",
        7_000_218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    (400, "invalid_request", 900_144, "The request body must contain a parameter that is missing."),
    (400, "unauthorized_client", 700_016, "Application was not found in the directory."),
    (400, "unauthorized_client", 7_000_112, "Application is disabled."),
    (400, "unauthorized_client", 70_001, "The application is not known in the tenant."),
    (400, "invalid_request", 90_002, "Tenant not found."),
    (400, "invalid_request", 90_038, "The tenant belongs to another cloud instance."),
    (400, "invalid_request", 900_382, "Confidential Client is not supported in Cross Cloud request."),
    (400, "invalid_resource", 500_011, "The resource principal was not found in the tenant."),
    (400, "invalid_scope", 70_011, "The scope requested by the app is invalid."),
    (400, "invalid_scope", 700_022, "The scope names more than one resource."),
    (400, "invalid_grant", 65_001, "The user or administrator has not consented to use the application."),
    (400, "interaction_required", 90_094, "An administrator must consent."),
    (
        400,
        "interaction_required",
        50_076,
        "Due to a configuration change made by your administrator, you must use multi-factor authentication.",
    ),
    (400, "invalid_grant", 70_008, "The provided authorization code or refresh token has expired."),
    (400, "invalid_grant", 700_082, "The refresh token has expired due to inactivity."),
    (400, "invalid_grant", 70_000, "The provided grant is invalid."),
    (503, "temporarily_unavailable", 50_033, "A transient error has occurred. Try again."),
    (503, "temporarily_unavailable", 90_006, "The service is temporarily unavailable. Try again."),
    (503, "temporarily_unavailable", 90_012, "The request timed out. Try again."),
    (503, "temporarily_unavailable", 90_024, "The request budget is exceeded. Try again."),
    (503, "temporarily_unavailable", 90_033, "A transient error has occurred. Try again."),
    (429, "temporarily_unavailable", 90_055, "The tenant is throttled, because there are too many requests."),
];

impl TokenRefusal {
    /// The error of a number. One that is not in the table is an invalid request.
    pub(crate) fn of(number: u32) -> Self {
        let found = CODES.into_iter().find(|(_, _, code, _)| *code == number);
        let (status, error, code, sentence) =
            found.unwrap_or((400, "invalid_request", number, "The request was refused."));
        Self::new(status, error, code, sentence)
    }

    /// A token endpoint that cannot answer now, by status.
    pub(crate) fn busy(status: u16) -> Self {
        match status {
            429 => Self::of(90_055),
            500.. => Self::new(
                status,
                "temporarily_unavailable",
                90_033,
                "A transient error has occurred. Try again.",
            ),
            401 => Self::new(401, "invalid_client", 0, "The client could not be authenticated."),
            _ => Self::new(status, "invalid_request", 0, "The request was refused."),
        }
    }
}
