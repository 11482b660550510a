//! `GET /subscribedSkus`: a fixed list, so that a client can look up the `skuIds` it assigns. Not simulated beyond that.

use http::StatusCode;

use super::Incoming;
use super::answer::GraphError;
use super::graph::Answer;
use super::odata::{self, Shape};
use crate::json::Json;

const SKUS: Shape = Shape {
    options: &["select"],
    select: &[
        "id",
        "skuId",
        "skuPartNumber",
        "appliesTo",
        "capabilityStatus",
        "consumedUnits",
        "prepaidUnits",
        "servicePlans",
    ],
    ..Shape::NONE
};

/// Id, part number, units consumed and enabled. Obvious examples.
const LIST: [(&str, &str, u64, u64); 2] = [
    ("a1f0c3d2-4b5e-4c6d-8e7f-1029384756aa", "EXAMPLE_FACULTY", 12, 100),
    ("b2e1d4c3-5a6f-4d7e-9f80-2130495867bb", "EXAMPLE_STUDENT", 250, 1000),
];

/// Graph docs: List subscribedSkus. The id is always there, also when it is not selected.
pub(crate) fn list(version: &str, tenant: &str, incoming: &Incoming<'_>) -> Result<Answer, GraphError> {
    let options = odata::options(incoming, &SKUS)?;
    let sku = |(id, part, consumed, enabled): (&str, &str, u64, u64)| {
        let units = [("enabled", enabled), ("suspended", 0), ("warning", 0)];
        let units = units.map(|(name, count)| (name, Json::Number(count)));
        let members = [
            ("id", Json::from(format!("{tenant}_{id}"))),
            ("skuId", Json::from(id)),
            ("skuPartNumber", Json::from(part)),
            ("appliesTo", Json::from("User")),
            ("capabilityStatus", Json::from("Enabled")),
            ("consumedUnits", Json::Number(consumed)),
            ("prepaidUnits", Json::Object(units.into())),
            ("servicePlans", Json::List(Vec::new())),
        ];
        let members = members.into_iter().filter(|(name, _)| *name == "id" || options.selects(name));
        Json::Object(members.collect())
    };
    let context = format!("https://{}/{version}/$metadata#subscribedSkus", incoming.authority);
    let value = Json::List(LIST.into_iter().map(sku).collect());
    let members = vec![("@odata.context", Json::from(context)), ("value", value)];
    Ok(Answer::Body(StatusCode::OK, Json::Object(members)))
}
