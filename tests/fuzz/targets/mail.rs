//! The server's own modules that take mail apart, included as they are: the server is a program, not a library, and these need nothing
//! else of it. A library beside the program would be built and shipped for these targets alone.
#![allow(dead_code, unused_imports)] // each target uses some of them

#[path = "../../../appliance/maild/src/mail/calendar.rs"]
pub mod calendar;
#[path = "../../../appliance/maild/src/mail/vcard.rs"]
pub mod vcard;
#[path = "../../../appliance/maild/src/mail/winmail.rs"]
pub mod winmail;
