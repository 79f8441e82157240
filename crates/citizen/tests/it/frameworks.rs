//! Small resources in the styles of the frameworks that real servers are made of: each uses the host the way that
//! framework does.

mod base;
