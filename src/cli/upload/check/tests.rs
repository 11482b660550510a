//! Each kind of finding, with its file, line and column, and that no value is ever told.

use super::*;
use crate::cli::output::Paint;
use crate::cli::upload::findings::{self, Finding};
use crate::cli::upload::format::FORMATS;

const SCHOOL: &str = "SIS ID,Name\n1,Fabrikam High\n";
const STUDENT: &str = "SIS ID,School SIS ID,Username\n100,1,oklein\n101,1,mrossi\n";

/// Checks these files, in the order of the format.
fn checked(files: &[(&str, &[u8])]) -> Vec<Finding> {
    let mut findings = Findings::new(3);
    let mut keys = HashMap::new();
    for format in &FORMATS {
        if let Some((_, content)) = files.iter().find(|(name, _)| *name == format.name) {
            check(*content, format, &mut keys, &mut findings);
        }
    }
    findings.into_list()
}

fn student(text: &str) -> Vec<(Kind, Option<usize>, u64, Vec<u64>)> {
    let found = checked(&[("school.csv", SCHOOL.as_bytes()), ("student.csv", text.as_bytes())]);
    found
        .into_iter()
        .map(|finding| {
            let column = finding.column.and_then(|column| column.number);
            (finding.kind, column, finding.count, finding.places.iter().map(|place| place.line).collect())
        })
        .collect()
}

#[test]
fn good_files_have_no_findings() {
    assert!(student(STUDENT).is_empty());
    assert!(student(&format!("\u{feff}{STUDENT}")).is_empty(), "a byte order mark is no part of a heading");
    assert!(student(&STUDENT.replace('\n', "\r\n")).is_empty());
    assert!(student("Username,SIS ID,School SIS ID,Birthdate\nfoo,1,1,2/29/2024\n").is_empty());
}

#[test]
fn each_kind_is_found_where_it_is() {
    let one = |kind, column, line| vec![(kind, Some(column), 1, vec![line])];
    let row = |row: &str| student(&format!("{STUDENT}{row}\n"));
    assert_eq!(row("102,,x"), one(Kind::MissingValue, 2, 4));
    assert_eq!(row("102,  ,x"), one(Kind::MissingValue, 2, 4));
    assert_eq!(row("102,9,x"), one(Kind::UnknownReference, 2, 4));
    assert_eq!(row("101,1,x"), one(Kind::Duplicate, 1, 4));
    assert_eq!(row("102,1,oklein"), one(Kind::Duplicate, 3, 4));
    assert_eq!(row("102,1,\"a\nb\""), one(Kind::LineBreak, 3, 4));
    assert_eq!(row("102,1,x,y"), vec![(Kind::TooManyFields, None, 1, vec![4])]);
    assert_eq!(
        row("102,1"),
        vec![(Kind::TooFewFields, None, 1, vec![4]), (Kind::MissingValue, Some(3), 1, vec![4])]
    );
    let dated = |date: &str| student(&format!("SIS ID,School SIS ID,Username,Birthdate\n1,1,a,{date}\n"));
    assert_eq!(dated("2017-07-01"), one(Kind::InvalidDate, 4, 2));
    assert_eq!(dated("2/29/2023"), one(Kind::InvalidDate, 4, 2));
    assert!(dated("").is_empty(), "a date is not required");
    let mut bytes = STUDENT.as_bytes().to_vec();
    bytes.extend_from_slice(b"102,1,M\xfcller\n");
    let found = checked(&[("school.csv", SCHOOL.as_bytes()), ("student.csv", &bytes)]);
    assert_eq!((found[0].kind, found[0].places[0].line), (Kind::NotUtf8, 4));
}

#[test]
fn headings_are_exact() {
    assert_eq!(
        student("Sis Id,School SIS ID,Username\n1,1,a\n"),
        vec![(Kind::MisspeltHeading, Some(1), 1, vec![1])]
    );
    assert_eq!(
        student("SIS ID ,School SIS ID,Username\n1,1,a\n"),
        vec![(Kind::MisspeltHeading, Some(1), 1, vec![1])]
    );
    assert_eq!(student("SIS ID,Username\n1,a\n"), vec![(Kind::MissingHeading, None, 1, vec![])]);
    assert_eq!(
        student("SIS ID,School SIS ID,Username,Username\n1,1,a,b\n"),
        vec![(Kind::RepeatedHeading, Some(4), 1, vec![1])]
    );
    assert_eq!(
        student("SIS ID,School SIS ID,Username,Shoe\n1,1,a,b\n"),
        vec![(Kind::UnknownHeading, Some(4), 1, vec![1])]
    );
    assert_eq!(student(""), vec![(Kind::Empty, None, 1, vec![])]);
}

#[test]
fn files_of_other_forms_are_told_apart() {
    let utf16: Vec<u8> = b"\xff\xfeS\0I\0S\0".to_vec();
    assert_eq!(checked(&[("school.csv", &utf16)])[0].kind, Kind::Utf16);
    let open = format!("SIS ID,Name\n1,\"{}", "x".repeat(5 * 1024 * 1024));
    let found = checked(&[("school.csv", open.as_bytes())]);
    assert_eq!(found[0].kind, Kind::Unreadable);
    assert!(found[0].message.contains("a quote that is not closed"), "{}", found[0].message);
}

#[test]
fn a_reference_to_a_file_that_is_not_there_is_not_told_row_by_row() {
    assert!(checked(&[("student.csv", STUDENT.as_bytes())]).is_empty());
}

#[test]
fn classes_refer_to_sections_students_and_teachers() {
    let found = checked(&[
        ("school.csv", SCHOOL.as_bytes()),
        ("section.csv", b"SIS ID,School SIS ID,Section Name\n7,1,Biology\n"),
        ("student.csv", STUDENT.as_bytes()),
        ("studentenrollment.csv", b"Section SIS ID,SIS ID\n7,100\n8,100\n7,999\n7,101\n"),
    ]);
    let lines: Vec<_> =
        found.iter().map(|f| (f.kind, f.column.unwrap().heading.unwrap(), f.places[0].line)).collect();
    let unknown = Kind::UnknownReference;
    assert_eq!(lines, [(unknown, "Section SIS ID", 3), (unknown, "SIS ID", 4)]);
}

#[test]
fn no_value_is_told_and_many_findings_are_counted() {
    let mut text = "canary1,School SIS ID,Username\n".to_owned();
    for _ in 0..9 {
        text.push_str("1,canary2,canary3,canary4\n");
    }
    let found = checked(&[("school.csv", SCHOOL.as_bytes()), ("student.csv", text.as_bytes())]);
    let table = findings::render(&found, Paint::none());
    assert!(!format!("{table}{}", serde_json::to_string(&found).unwrap()).contains("canary"), "{table}");
    assert!(table.contains("student.csv  ...   3       5 more of these"), "{table}");
    assert!(table.contains("this \"Username\" is there already, in line 2"), "{table}");
    assert!(
        table.ends_with("27 errors, 1 warning\n") || table.ends_with("28 errors, 1 warning\n"),
        "{table}"
    );
}

/// A file that is made while it is read, and is nowhere as a whole.
struct Made<F> {
    row: F,
    next: u64,
    rows: u64,
    left: Vec<u8>,
    /// The most that was asked for at once.
    longest_read: usize,
    /// All that was read.
    bytes: usize,
}

impl<F: Fn(u64) -> String> Made<F> {
    fn new(headings: &str, rows: u64, row: F) -> Self {
        Self { row, next: 0, rows, left: headings.as_bytes().to_vec(), longest_read: 0, bytes: 0 }
    }
}

impl<F: Fn(u64) -> String> Read for Made<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.longest_read = self.longest_read.max(buffer.len());
        while self.left.len() < buffer.len() && self.next < self.rows {
            self.left.extend_from_slice((self.row)(self.next).as_bytes());
            self.next += 1;
        }
        let read = self.left.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.left[..read]);
        self.left.drain(..read);
        self.bytes += read;
        Ok(read)
    }
}

fn format(name: &str) -> &'static Format {
    FORMATS.iter().find(|format| format.name == name).unwrap()
}

#[test]
fn a_file_with_more_rows_than_are_taken_is_told_apart_from_one_with_many() {
    for (rows, kind) in [
        (500_000, None),
        (500_001, Some(Kind::ManyRows)),
        (2_000_000, Some(Kind::ManyRows)),
        (2_000_001, Some(Kind::TooManyRows)),
    ] {
        let mut findings = Findings::new(3);
        let file = Made::new("Section SIS ID,SIS ID\n", rows, |_| "7,1\n".to_owned());
        let counted = check(file, format("studentenrollment.csv"), &mut HashMap::new(), &mut findings);
        assert_eq!(counted, rows);
        let found = findings.into_list();
        let kinds: Vec<Kind> = found.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, Vec::from_iter(kind), "{rows}");
        assert!(found.iter().all(|finding| finding.count == 1 && finding.places.is_empty()), "{found:?}");
    }
}

#[test]
fn a_million_rows_are_checked_piece_by_piece() {
    const ROWS: u64 = 1_000_000;
    let (mut findings, mut keys) = (Findings::new(3), HashMap::new());
    check(SCHOOL.as_bytes(), format("school.csv"), &mut keys, &mut findings);
    // Each hundred-thousandth student is of no school, and the last one is there already.
    let row = |number: u64| {
        let school = if number % 100_000 == 1 { 9 } else { 1 };
        let id = if number == ROWS - 1 { 0 } else { number };
        format!("{id},{school},user{number}\n")
    };
    let mut file = Made::new("SIS ID,School SIS ID,Username\n", ROWS, row);
    assert_eq!(check(&mut file, format("student.csv"), &mut keys, &mut findings), ROWS);
    assert!(file.bytes > 15_000_000 && file.longest_read <= 256 * 1024, "{}", file.longest_read);
    let found: Vec<_> = findings
        .into_list()
        .into_iter()
        .map(|finding| {
            (finding.kind, finding.count, finding.places.iter().map(|place| place.line).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    for one in [
        (Kind::ManyRows, 1, vec![]),
        (Kind::UnknownReference, 10, vec![3, 100_003, 200_003]),
        (Kind::Duplicate, 1, vec![ROWS + 1]),
    ] {
        assert!(found.contains(&one), "{one:?} in {found:?}");
    }
}
