//! The six files of the SDS v1 format: headings, keys, references. A table, no reading.

/// What one file must be.
pub(super) struct Format {
    /// File name, in lower case as the answers of `start` have it.
    pub(super) name: &'static str,
    /// Whether it must always be there.
    pub(super) required: bool,
    /// Headings that must be there, with a value in every row (the set "Min Required Attributes" of the samples).
    pub(super) columns: &'static [&'static str],
    /// Headings whose values must differ from row to row.
    pub(super) unique: &'static [&'static str],
    /// Headings that hold dates, as in the samples.
    pub(super) dates: &'static [&'static str],
    /// Headings whose values must be a `SIS ID` of another file.
    pub(super) references: &'static [(&'static str, &'static str)],
}

/// Heading of the key of every file that has one.
pub(super) const KEY: &str = "SIS ID";

/// In an order in which every reference goes backwards. Headings are case-sensitive and contain blanks.
pub(super) const FORMATS: [Format; 6] = [
    Format {
        name: "school.csv",
        required: true,
        columns: &[KEY, "Name"],
        unique: &[KEY],
        dates: &[],
        references: &[],
    },
    Format {
        name: "section.csv",
        required: false,
        columns: &[KEY, "School SIS ID", "Section Name"],
        unique: &[KEY],
        dates: &["Term StartDate", "Term EndDate"],
        references: &[("School SIS ID", "school.csv")],
    },
    Format {
        name: "student.csv",
        required: true,
        columns: &[KEY, "School SIS ID", "Username"],
        unique: &[KEY, "Username"],
        dates: &["Birthdate"],
        references: &[("School SIS ID", "school.csv")],
    },
    Format {
        name: "teacher.csv",
        required: true,
        columns: &[KEY, "School SIS ID", "Username"],
        unique: &[KEY, "Username"],
        dates: &[],
        references: &[("School SIS ID", "school.csv")],
    },
    Format {
        name: "studentenrollment.csv",
        required: false,
        columns: &["Section SIS ID", KEY],
        unique: &[],
        dates: &[],
        references: &[("Section SIS ID", "section.csv"), (KEY, "student.csv")],
    },
    Format {
        name: "teacherroster.csv",
        required: false,
        columns: &["Section SIS ID", KEY],
        unique: &[],
        dates: &[],
        references: &[("Section SIS ID", "section.csv"), (KEY, "teacher.csv")],
    },
];
