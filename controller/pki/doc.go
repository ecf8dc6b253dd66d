// Package pki makes what a new installation needs to trust itself: a private
// certificate authority, the controller's certificate, one certificate per
// cell, and configuration files that name them. A cell is who its certificate's
// common name says; nothing an agent sends can change that.
//
// Keys are ECDSA P-256. Running Init again adds what is missing and changes
// nothing that is there.
package pki
