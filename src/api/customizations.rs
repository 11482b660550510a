//! Customizations of a data provider: which optional properties are synchronized, and when.
//!
//! The members are those of Graph's educationSynchronizationCustomizations. Nothing about a single
//! provider belongs in here, since all of them share these types.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What to synchronize, for each kind of entry. A kind that is left out gets Microsoft's defaults.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.school) || has(self.section) || has(self.student) || has(self.teacher) || has(self.studentEnrollment) || has(self.teacherRoster)")
        .message("customizations must name at least one of school, section, student, teacher, studentEnrollment, teacherRoster; leave customizations out to synchronize everything")
)]
pub struct Customizations {
    /// Schools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub school: Option<EntityCustomization>,
    /// Sections, which become classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<EntityCustomization>,
    /// Students.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<EntityCustomization>,
    /// Teachers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<EntityCustomization>,
    /// Which student is in which section. It has no optional properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student_enrollment: Option<EnrollmentCustomization>,
    /// Which teacher gives which section. It has no optional properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_roster: Option<RosterCustomization>,
}

/// Customization of schools, sections, students or teachers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EntityCustomization {
    /// Optional properties to synchronize, as the column headings of the file spell them, for
    /// example "Middle Name". Left out, all properties are synchronized; an empty list means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 128)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(heading, heading.size() > 0 && heading == heading.trim())")
            .message("optionalPropertiesToSync must hold column headings such as \"Middle Name\", not empty and without white space around them")
    )]
    pub optional_properties_to_sync: Option<Vec<String>>,
    /// True: defer the synchronization of these entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_sync_deferred: Option<bool>,
    /// True: a synchronization may overwrite display names in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_display_name_update: Option<bool>,
}

/// Customization of student enrollments: the only one with a start date.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.optionalPropertiesToSync)")
    .message("studentEnrollment has no optional properties: leave optionalPropertiesToSync out"))]
pub struct EnrollmentCustomization {
    /// Not available for enrollments; refused with a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 128)))]
    pub optional_properties_to_sync: Option<Vec<String>>,
    /// When enrollments begin to be synchronized, in RFC 3339 form, for example
    /// 2027-08-15T00:00:00Z. Left out: as soon as the profile is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    #[x_kube(validation = Rule::new("!format.datetime().validate(self).hasValue()")
        .message("synchronizationStartDate must be a time in RFC 3339 form, for example 2027-08-15T00:00:00Z"))]
    pub synchronization_start_date: Option<String>,
    /// True: defer the synchronization of these entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_sync_deferred: Option<bool>,
    /// True: a synchronization may overwrite display names in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_display_name_update: Option<bool>,
}

/// Customization of teacher rosters.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.optionalPropertiesToSync)")
    .message("teacherRoster has no optional properties: leave optionalPropertiesToSync out"))]
pub struct RosterCustomization {
    /// Not available for rosters; refused with a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 128)))]
    pub optional_properties_to_sync: Option<Vec<String>>,
    /// True: defer the synchronization of these entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_sync_deferred: Option<bool>,
    /// True: a synchronization may overwrite display names in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_display_name_update: Option<bool>,
}
