//! The features of the application. Each can be removed with its folder and its line here.

mod list;
mod todo;
