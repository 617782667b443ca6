//! The suite: each test starts an httpd of its own and talks to it as a client would.
//!
//! It runs against our module, or with `WSGI_UNDER_TEST=theirs` against mod_wsgi, which shows that a test is right.
//! One binary, so that it links once; one file per behaviour, and `tests/apps` holds one small application per behaviour.

#[macro_use]
mod harness;

mod access;
mod answers;
mod around;
mod browser;
mod collection;
mod configtest;
mod connections;
mod copies;
mod counters;
mod daemon;
mod demand;
mod differential;
mod directives;
mod dispatch;
mod effects;
mod environ;
mod examples;
mod extensions;
mod files;
mod frameworks;
mod front_door;
mod gone;
mod grammar;
mod groups;
mod handlers;
mod hello;
mod homes;
mod hostile;
mod input;
mod interpreters;
mod lifecycle;
mod loading;
mod logging;
mod mapping;
mod merging;
mod metrics;
mod misbehaving;
mod module;
mod output;
mod owners;
mod preload;
mod privacy;
mod races;
mod reference;
mod reload;
mod repositories;
mod scripts;
mod slow;
mod slow_clients;
mod start_response;
mod streams;
mod surroundings;
mod syscalls;
mod threading;
mod tidy;
mod timeouts;
mod waits;
