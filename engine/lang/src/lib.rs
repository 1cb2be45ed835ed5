pub mod ast;
mod lexer;
mod parser;
