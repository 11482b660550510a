//! The six files of the SDS v1 format: headings, keys, references. A table, and no reading.
//!
//! Sources: the CSV samples of School Data Sync (the set "Min Required Attributes" and the full set),
//! and the messages of Graph's `start`, which name what must be unique and what refers to what.

/// What one file is.
#[derive(Debug)]
pub struct Format {
    /// Its name, as it is uploaded.
    pub name: &'static str,
    /// Must it be there? The other three come all together or not at all.
    pub required: bool,
    /// Headings that must be there, with a value in each row.
    pub columns: &'static [&'static str],
    /// Headings that may be there.
    pub further: &'static [&'static str],
    /// Headings whose values differ from row to row.
    pub unique: &'static [&'static str],
    /// Headings whose values are dates.
    pub dates: &'static [&'static str],
    /// Headings whose values are the key of another file.
    pub references: &'static [(&'static str, &'static str)],
}

/// Heading of the key.
pub const KEY: &str = "SIS ID";
const SCHOOL: &str = "School SIS ID";
const SECTION: &str = "Section SIS ID";
const USERNAME: &str = "Username";

/// Rows that School Data Sync takes for sure (the older of two pages).
pub const MANY_ROWS: u64 = 500_000;
/// Rows that School Data Sync takes at most.
pub const MOST_ROWS: u64 = 2_000_000;

/// In an order in which each reference leads to a file before it.
pub const FORMATS: [Format; 6] = [
    Format {
        name: "school.csv",
        required: true,
        columns: &[KEY, "Name"],
        further: &[
            "School Number",
            "School NCES_ID",
            "State ID",
            "Grade Low",
            "Grade High",
            "Principal SIS ID",
            "Principal Name",
            "Principal Secondary Email",
            "Address",
            "City",
            "State",
            "Country",
            "Zip",
            "Phone",
            "Zone",
        ],
        unique: &[KEY],
        dates: &[],
        references: &[],
    },
    Format {
        name: "section.csv",
        required: false,
        columns: &[KEY, SCHOOL, "Section Name"],
        further: &[
            "Section Number",
            "Term SIS ID",
            "Term Name",
            "Term StartDate",
            "Term EndDate",
            "Course SIS ID",
            "Course Name",
            "Course Number",
            "Course Description",
            "Course Subject",
            "Periods",
            "Status",
        ],
        unique: &[KEY],
        dates: &["Term StartDate", "Term EndDate"],
        references: &[(SCHOOL, "school.csv")],
    },
    Format {
        name: "student.csv",
        required: true,
        columns: &[KEY, SCHOOL, USERNAME],
        further: &[
            "First Name",
            "Last Name",
            "Password",
            "State ID",
            "Secondary Email",
            "Student Number",
            "Middle Name",
            "Grade",
            "Status",
            "Birthdate",
            "Graduation Year",
            "Mailing Address",
            "Mailing City",
            "Mailing State",
            "Mailing Zip",
            "Mailing Latitude",
            "Mailing Longitude",
            "Mailing Country",
            "Residence Address",
            "Residence City",
            "Residence State",
            "Residence Zip",
            "Residence Latitude",
            "Residence Longitude",
            "Residence Country",
            "Gender",
            "ELL Status",
            "FederalRace",
        ],
        unique: &[KEY, USERNAME],
        dates: &["Birthdate"],
        references: &[(SCHOOL, "school.csv")],
    },
    Format {
        name: "teacher.csv",
        required: true,
        columns: &[KEY, SCHOOL, USERNAME],
        further: &[
            "First Name",
            "Last Name",
            "Password",
            "State ID",
            "Teacher Number",
            "Status",
            "Middle Name",
            "Secondary Email",
            "Title",
            "Qualification",
        ],
        unique: &[KEY, USERNAME],
        dates: &[],
        references: &[(SCHOOL, "school.csv")],
    },
    Format {
        name: "studentenrollment.csv",
        required: false,
        columns: &[SECTION, KEY],
        further: &[],
        unique: &[],
        dates: &[],
        references: &[(SECTION, "section.csv"), (KEY, "student.csv")],
    },
    Format {
        name: "teacherroster.csv",
        required: false,
        columns: &[SECTION, KEY],
        further: &[],
        unique: &[],
        dates: &[],
        references: &[(SECTION, "section.csv"), (KEY, "teacher.csv")],
    },
];

impl Format {
    /// The heading, if it is one that this file may have: only such a one is ever printed.
    #[must_use]
    pub fn heading(&self, text: &[u8]) -> Option<&'static str> {
        self.columns.iter().chain(self.further).find(|heading| heading.as_bytes() == text).copied()
    }

    /// The required heading that somebody meant, but spelt with other case or white space.
    #[must_use]
    pub fn meant(&self, text: &[u8]) -> Option<&'static str> {
        let text = text.trim_ascii();
        self.columns.iter().find(|heading| heading.as_bytes().eq_ignore_ascii_case(text)).copied()
    }

    /// The file whose key a column must hold.
    #[must_use]
    pub fn target(&self, heading: &str) -> Option<&'static str> {
        self.references.iter().find(|(name, _)| *name == heading).map(|(_, file)| *file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::upload::FILES;

    #[test]
    fn the_table_is_about_the_files_that_are_uploaded() {
        let mut names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
        let mut files = FILES.to_vec();
        names.sort_unstable();
        files.sort_unstable();
        assert_eq!(names, files);
    }

    #[test]
    fn references_lead_backwards_and_headings_exist() {
        for (place, format) in FORMATS.iter().enumerate() {
            for (heading, file) in format.references {
                assert!(format.columns.contains(heading));
                assert!(FORMATS[..place].iter().any(|earlier| earlier.name == *file));
            }
            for heading in format.unique.iter().chain(format.dates) {
                assert_eq!(format.heading(heading.as_bytes()), Some(*heading));
            }
        }
    }
}
