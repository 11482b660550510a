//! The page at `/`: one look at everything, in plain HTML. Every text goes through [`escape`]: display names and paths
//! are written by strangers. Nothing is decided here, and nothing is loaded from elsewhere. Its script is a file beside it.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::{Inner, RecordedRequest, profiles};
use crate::fault::ActiveFault;
use crate::model::{PendingDevice, PrincipalKind};

const HEAD: &str = include_str!("page.head.html");
/// Renews the page without moving it.
const SCRIPT: &str = include_str!("page.script.js");
/// By this the page's policy knows its script from any other.
pub(super) static SCRIPT_DIGEST: LazyLock<String> =
    LazyLock::new(|| STANDARD.encode(digest::digest(&digest::SHA256, SCRIPT.as_bytes()).as_ref()));
const FOOT: &str = "<footer>Everything here is simulated. As JSON: <a href=\"/_simulator/requests\">requests</a> <a href=\"/_simulator/profiles\">profiles</a> <a href=\"/_simulator/faults\">faults</a> <a href=\"/_simulator/time\">time</a></footer>\n</main>\n";
/// How many requests are shown.
const SHOWN_REQUESTS: usize = 50;

/// Writes the page.
pub(super) fn render(inner: &mut Inner, now: Timestamp) -> String {
    let rows = profiles(&mut inner.model, now);
    let profiles: Vec<Value> =
        rows.iter().map(|row| serde_json::to_value(row).unwrap_or(Value::Null)).collect();
    let requests = inner.log.all();
    let settings = inner.model.settings();
    let mut parts = vec![HEAD.replace("@SCRIPT@", SCRIPT)];
    parts.push(format!(
        "<header><h1>graph-simulator</h1><p class=time>{}{}</p></header>\n",
        escape(&now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
        if inner.clock.is_stopped() { " <b class=warn>stopped</b>" } else { "" },
    ));
    if let Some(status) = inner.unavailable {
        parts.push(format!("<p class=banner>Every Graph call is answered {status}.</p>\n"));
    }
    let devices = inner.model.pending_devices(now);
    if !devices.is_empty() {
        parts.push(section(
            "Device codes",
            "",
            &["User code", "Client", "Scope", ""],
            devices.iter().map(device),
        ));
    }
    let faults = inner.faults.all(now);
    if !faults.is_empty() {
        parts.push(section(
            "Faults",
            "",
            &["", "Specification", "Calls", "Struck", ""],
            faults.iter().map(fault),
        ));
        let all = button("/_simulator/faults/remove", "", "Remove all faults");
        parts.push(format!("<p class=none>{all}</p>\n"));
    }
    let tenants: Vec<&String> = std::iter::once(&settings.tenant).chain(&settings.extra_tenants).collect();
    for tenant in tenants {
        let own = profiles.iter().filter(|row| member(row, "tenantId").eq_ignore_ascii_case(tenant));
        let headings = ["Profile", "State", "Sync", "Id", "Created"];
        parts.push(section("Profiles of tenant", tenant, &headings, own.map(profile)));
    }
    let headings = ["Time", "Call", "Method and path", "Status", "Token", "Request id"];
    let note = format!("{} so far", requests.last().map_or(0, |request| request.number));
    parts.push(section(
        "Requests",
        &note,
        &headings,
        requests.iter().rev().take(SHOWN_REQUESTS).map(request),
    ));
    parts.push(FOOT.to_owned());
    parts.concat()
}

/// A heading and a table; a sentence when there are no rows.
fn section(title: &str, note: &str, headings: &[&str], rows: impl Iterator<Item = String>) -> String {
    let rows: String = rows.collect();
    let title = format!("<section><h2>{title} <small>{}</small></h2>", escape(note));
    if rows.is_empty() {
        return format!("{title}<p class=none>None yet.</p></section>\n");
    }
    let head = headings.join("</th><th>");
    format!(
        "{title}<div class=scroll><table><thead><tr><th>{head}</th></tr></thead><tbody>\n{rows}</tbody></table></div></section>\n"
    )
}

fn profile(row: &Value) -> String {
    let text = |name: &str| escape(member(row, name));
    // The sync status is shown where the profile's JSON carries one.
    let status =
        row.pointer("/profileStatus/status").and_then(Value::as_str).map_or_else(|| "–".to_owned(), badge);
    format!(
        "<tr><td class=name>{}</td><td>{}</td><td>{status}</td><td><code>{}</code></td><td class=when>{}</td></tr>\n",
        text("displayName"),
        badge(member(row, "state")),
        text("id"),
        created(row),
    )
}

/// To the second; the JSON has the rest.
fn created(row: &Value) -> String {
    let moment = member(row, "createdDateTime").parse::<Timestamp>();
    moment.map_or_else(|_| String::new(), |moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn member<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or("")
}

fn badge(word: &str) -> String {
    let tone = match word {
        "provisioned" | "success" => "good",
        "provisioningFailed" | "deletionFailed" | "error" | "validationError" | "quarantined" => "bad",
        _ => "busy",
    };
    format!("<span class=\"badge {tone}\">{}</span>", escape(word))
}

fn request(request: &RecordedRequest) -> String {
    let tone = match request.status {
        ..300 => "good",
        300..500 => "busy",
        _ => "bad",
    };
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let faults: Vec<String> =
        request.faults.iter().map(|spec| format!(" <i class=warn>{}</i>", escape(spec))).collect();
    let faults = faults.concat();
    let cut = request.cut.map(|cut| format!(" <i class=warn>{}</i>", cut.as_str())).unwrap_or_default();
    let principal = match request.principal {
        Some(PrincipalKind::App) => "app",
        Some(PrincipalKind::Delegated) => "delegated",
        None => "–",
    };
    format!(
        "<tr><td>{}</td><td>{}{faults}</td><td class=path><b>{}</b> {}</td><td><span class=\"badge {tone}\">{}</span>{cut}</td><td>{principal}</td><td><code>{}</code></td></tr>\n",
        escape(&request.time.strftime("%H:%M:%S").to_string()),
        escape(request.operation),
        escape(&request.method),
        escape(&format!("{}{query}", request.path)),
        request.status,
        escape(&request.request_id),
    )
}

fn fault(fault: &ActiveFault) -> String {
    let (tone, word, row) = if fault.active { ("bad", "set", "") } else { ("busy", "over", " class=over") };
    format!(
        "<tr{row}><td><span class=\"badge {tone}\">{word}</span></td><td><code>{}</code></td><td><i class=l>calls </i>{}</td><td><i class=l>struck </i>{}</td><td>{}</td></tr>\n",
        escape(&fault.spec),
        fault.seen,
        fault.struck,
        button(&format!("/_simulator/faults/{}/remove", fault.number), "", "Remove"),
    )
}

fn device(device: &PendingDevice) -> String {
    let address = format!("/_simulator/devicecode/{}", device.user_code);
    format!(
        "<tr><td><b>{}</b></td><td><code>{}</code></td><td>{}</td><td>{} {}</td></tr>\n",
        escape(&device.user_code),
        escape(&device.client),
        escape(&device.scope),
        button(&address, "approve", "Approve"),
        button(&address, "deny", "Deny"),
    )
}

fn button(address: &str, action: &str, label: &str) -> String {
    format!(
        "<form method=post action=\"{}\"><button name=action value=\"{}\">{label}</button></form>",
        escape(address),
        escape(action),
    )
}

/// Text as HTML, inside elements and inside double quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter if letter.is_control() => safe.push('\u{fffd}'),
            // These turn the text after them around.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_escapes() {
        assert_eq!(
            escape("<b a=\"1\" c='2'>&\u{7}\u{202e}ü"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\u{fffd}\u{fffd}ü"
        );
    }
}
