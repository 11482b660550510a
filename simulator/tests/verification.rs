//! What `start` says about uploaded files: each message, and what follows from it.
#![cfg(test)]

mod support;

use graph_simulator::{ProfileSettings, Settings, StartErrorStatus};
use serde_json::{Value, json};
use support::csv::{GOOD, start, upload};
use support::{BETA, Reply, World, profile};

fn world(profiles: ProfileSettings) -> (World, String) {
    let mut world = World::new(Settings { profiles, ..Settings::default() });
    let id = world.provisioned(&profile("P"));
    (world, id)
}

/// Starts with the good files, one of which is replaced.
fn started(name: &str, text: &str) -> Reply {
    let (world, id) = world(ProfileSettings::default());
    upload(&world, &id, &GOOD);
    upload(&world, &id, &[(name, text)]);
    start(&world, &id)
}

/// The messages, each as one line.
#[track_caller]
fn lines(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let value = body["value"].as_array().unwrap_or_else(|| panic!("{body}")).iter();
    value
        .map(|one| format!("{} {}: {}", text(one, "type"), text(one, "fileName"), text(one, "description")))
        .collect()
}

#[test]
fn good_files_are_taken_and_a_run_begins() {
    let (mut world, id) = world(ProfileSettings::default());
    upload(&world, &id, &GOOD);
    let reply = start(&world, &id);
    assert_eq!(reply.status, 200);
    let context = "https://sim.example:8443/beta/$metadata#Collection(microsoft.graph.educationFileSynchronizationVerificationMessage)";
    assert_eq!(reply.json(), json!({ "@odata.context": context, "value": [] }));
    world.pass(world.simulator.settings().profiles.sync_time);
    let status = world.get(&format!("{BETA}/{id}/profileStatus"), &world.app()).json();
    assert_eq!(status["status"], "success");
    let again = start(&world, &id);
    assert_eq!(again.status, 400, "a start takes the files that were uploaded since the last");
    assert_eq!(
        lines(&again),
        [
            "Error school.csv: The file is missing.",
            "Error student.csv: The file is missing.",
            "Error teacher.csv: The file is missing."
        ]
    );
}

#[test]
fn every_message_of_the_documents() {
    let rows = [
        (
            "section.csv",
            "SIS ID,School SIS ID,Section Name\n7,1,Biology\n,1,Chemistry\n ,1,Physics\n",
            vec!["Error section.csv: 2 row(s) have missing data for the field - SIS ID"],
        ),
        (
            "school.csv",
            "SIS ID\n1\n",
            vec!["Error school.csv: 1 row(s) have missing data for the field - Name"],
        ),
        (
            "school.csv",
            "SIS ID,name\n1,x\n",
            vec!["Error school.csv: 1 row(s) have missing data for the field - Name"],
        ),
        (
            "section.csv",
            "SIS ID,School SIS ID,Section Name,Term StartDate\n7,1,Biology,2017-07-01\n8,1,Latin,7/1/2017\n",
            vec!["Error section.csv: 1 row(s) have an invalid format for the field - Term StartDate"],
        ),
        (
            "student.csv",
            "SIS ID,School SIS ID,Username\n100,1,a\n101,9,b\n",
            vec![
                "Error student.csv: 1 row(s) have referenced data not found in source. Field - School SIS ID",
            ],
        ),
        (
            "studentenrollment.csv",
            "Section SIS ID,SIS ID\n7,100\n8,100\n7,200\n",
            vec![
                "Error studentenrollment.csv: 1 row(s) have referenced data not found in source. Field - Section SIS ID",
                "Error studentenrollment.csv: 1 row(s) have referenced data not found in source. Field - SIS ID",
            ],
        ),
        (
            "teacherroster.csv",
            "Section SIS ID,SIS ID\n7,100\n",
            vec![
                "Error teacherroster.csv: 1 row(s) have referenced data not found in source. Field - SIS ID",
            ],
        ),
        (
            "school.csv",
            "SIS ID,Name\n1,\"two\nlines\"\n",
            vec!["Error school.csv: 1 row(s) have an invalid format for the field - Name"],
        ),
        (
            "school.csv",
            "SIS ID,Name\n1,Fabrikam, High\n",
            vec!["Error school.csv: 1 row(s) have an invalid format for the field - Name"],
        ),
    ];
    for (name, text, expected) in rows {
        let reply = started(name, text);
        assert_eq!(reply.status, 400, "{name} {text}");
        assert_eq!(lines(&reply), expected, "{name} {text}");
    }
}

#[test]
fn duplicates_are_warnings_and_stop_nothing() {
    let reply = started("student.csv", "SIS ID,School SIS ID,Username\n100,1,a\n100,1,a\n101,1,a\n");
    assert_eq!(reply.status, 200);
    assert_eq!(
        lines(&reply),
        [
            "Warning student.csv: 1 duplicates found in column SIS ID which requires values to be Unique.",
            "Warning student.csv: 2 duplicates found in column Username which requires values to be Unique.",
        ]
    );
}

#[test]
fn bytes_that_are_no_utf8_are_an_invalid_format() {
    let (world, id) = world(ProfileSettings::default());
    upload(&world, &id, &GOOD);
    let path = support::csv::blob_url(&support::csv::upload_url(&world, &id), "school.csv");
    let body = b"SIS ID,Name\n1,Caf\xe9\n".to_vec();
    assert_eq!(world.send(support::csv::put_request(&path, body.len()), body).status, 201);
    let expected = ["Error school.csv: 1 row(s) have an invalid format for the field - Name"];
    assert_eq!(lines(&start(&world, &id)), expected);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_heading() {
    let reply = started("school.csv", "\u{feff}SIS ID,Name\r\n1,Fabrikam High\r\n");
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[test]
fn file_names_count_in_lower_case_unless_told() {
    let mixed: Vec<(String, &str)> =
        GOOD.iter().map(|(name, text)| (name.replacen('s', "S", 1), *text)).collect();
    let mixed: Vec<(&str, &str)> = mixed.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let (strict, id) = world(ProfileSettings::default());
    upload(&strict, &id, &mixed);
    let said = lines(&start(&strict, &id));
    assert_eq!(said.len(), 6, "{said:?}");
    assert!(
        said.contains(
            &"Error student.csv: The file was uploaded as Student.csv. File names must be in lower case."
                .to_owned()
        )
    );
    let (lenient, id) = world(ProfileSettings { any_file_name_case: true, ..ProfileSettings::default() });
    upload(&lenient, &id, &mixed);
    assert_eq!(lines(&start(&lenient, &id)), Vec::<String>::new());
}

#[test]
fn some_files_are_required_and_some_come_together() {
    let (world, id) = world(ProfileSettings::default());
    let people: Vec<_> = GOOD
        .into_iter()
        .filter(|(name, _)| ["school.csv", "student.csv", "teacher.csv"].contains(name))
        .collect();
    upload(&world, &id, &people);
    upload(&world, &id, &[("section.csv", GOOD[1].1), ("notes.txt", "x")]);
    let reply = start(&world, &id);
    assert_eq!(
        lines(&reply),
        [
            "Error studentenrollment.csv: The file is missing.",
            "Error teacherroster.csv: The file is missing.",
            "Warning notes.txt: The file is none of the six files of a profile and was not read.",
        ]
    );
    let (other, id) = world_again();
    upload(&other, &id, &people);
    assert_eq!(start(&other, &id).status, 200);
}

fn world_again() -> (World, String) {
    world(ProfileSettings::default())
}

#[test]
fn after_an_error_only_the_wrong_file_is_needed_again() {
    let (world, id) =
        world(ProfileSettings { start_error_status: StartErrorStatus::Ok, ..ProfileSettings::default() });
    upload(&world, &id, &GOOD);
    upload(&world, &id, &[("school.csv", "SIS ID,Name\n2,Other\n")]);
    let reply = start(&world, &id);
    assert_eq!(reply.status, 200, "a switch");
    assert_eq!(lines(&reply).len(), 3, "{}", reply.text);
    let status = world.get(&format!("{BETA}/{id}/profileStatus"), &world.app()).json();
    assert_eq!(status["status"], Value::Null, "no run has begun");
    upload(&world, &id, &GOOD[..1]);
    assert_eq!(lines(&start(&world, &id)), Vec::<String>::new());
}

#[test]
fn rows_and_their_length_are_limited() {
    let (world, id) = world(ProfileSettings { max_csv_rows: 2, ..ProfileSettings::default() });
    upload(&world, &id, &GOOD);
    assert_eq!(start(&world, &id).status, 200);
    let (world, id) = world_with_limit(1);
    upload(&world, &id, &GOOD);
    let said = lines(&start(&world, &id));
    assert!(said.contains(&"Error student.csv: The file has more than 1 rows.".to_owned()), "{said:?}");
    let open = format!("SIS ID,Name\n1,\"{}", "x\n".repeat(3 * 1024 * 1024));
    let said = lines(&started("school.csv", &open));
    assert!(said[0].contains("look for a quote that is not closed"), "{said:?}");
}

fn world_with_limit(max_csv_rows: u64) -> (World, String) {
    world(ProfileSettings { max_csv_rows, ..ProfileSettings::default() })
}

#[test]
fn many_rows_are_read_in_one_go() {
    let (world, id) = world(ProfileSettings::default());
    upload(&world, &id, &GOOD);
    let rows: Vec<String> = (0..50_000).map(|row| format!("{},1,user{row}", row + 100)).collect();
    let rows = rows.join("\n");
    upload(&world, &id, &[("student.csv", &format!("SIS ID,School SIS ID,Username\n{rows}"))]);
    assert_eq!(lines(&start(&world, &id)), Vec::<String>::new());
}

#[test]
fn a_file_without_a_byte_has_a_sentence_of_its_own() {
    let messages = lines(&started("school.csv", ""));
    assert_eq!(messages, ["Error school.csv: The file is empty. Its first line must hold the headings."]);
}
