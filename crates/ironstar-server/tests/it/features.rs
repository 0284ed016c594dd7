//! The features of the todo application, and its own options, with its own binary. Each can be
//! removed with its folder and its line here.

mod todo;
