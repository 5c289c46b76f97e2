//! The server's own modules that take mail apart, included as they are: the server is a program, not a library, and these need nothing
//! else of it. A library beside the program would be built and shipped for these targets alone.
#![allow(dead_code, unused_imports)] // each target uses some of them

#[path = "../../../appliance/maild/src/mail/calendar.rs"]
pub mod calendar;
#[path = "../../../appliance/maild/src/mail/choice.rs"]
pub mod choice;
#[path = "../../../appliance/maild/src/mail/extract.rs"]
pub mod extract;
#[path = "../../../appliance/maild/src/mail/repair.rs"]
pub mod repair;
#[path = "../../../appliance/maild/src/mail/structure.rs"]
pub mod structure;
#[path = "../../../appliance/maild/src/mail/vcard.rs"]
pub mod vcard;
#[path = "../../../appliance/maild/src/mail/winmail.rs"]
pub mod winmail;
