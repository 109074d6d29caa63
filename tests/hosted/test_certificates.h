// SPDX-License-Identifier: GPL-2.0-or-later
// Certificates for tests of the TLS client, made by OpenSSL (`openssl req -x509`, `openssl x509
// -req -CA`): an authority, a server that it vouches for from November 2026 to August 2029 under
// the names models.test and *.wild.test, and another authority.
#pragma once

#include <string_view>

namespace test_certificates {

constexpr std::string_view kAuthority =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBpzCCAU2gAwIBAgIUKv+D4Uz0AnqFCETgl6/ay/9dZ4MwCgYIKoZIzj0EAwIw\n"
    "IDEeMBwGA1UEAwwVTWFycm93IHRlc3QgYXV0aG9yaXR5MCAXDTI2MTEzMDE1MzEz\n"
    "NFoYDzIwNTEwNzIyMTUzMTM0WjAgMR4wHAYDVQQDDBVNYXJyb3cgdGVzdCBhdXRo\n"
    "b3JpdHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT07mbgkbIuDXEm7XOU5b+X\n"
    "AxhTzrO4rJz5+i3r25NqL1gU4c+hxih2iYOg9sio027z+N98Hb6WnR4X3Y3DMPyC\n"
    "o2MwYTAdBgNVHQ4EFgQUPrgBkBiKDQpjxlUFi1d5ZAtX//AwHwYDVR0jBBgwFoAU\n"
    "PrgBkBiKDQpjxlUFi1d5ZAtX//AwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8E\n"
    "BAMCAgQwCgYIKoZIzj0EAwIDSAAwRQIgILQ009H5uGEMdQ2NTchZLChsW/cDWjX/\n"
    "elHd9WRbPBcCIQCbSh+zbYTt0jpubmr5K9BWAh5lfhDLYXx55qKXg1sKQw==\n"
    "-----END CERTIFICATE-----\n";
constexpr std::string_view kIdentity =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBpjCCAUygAwIBAgIUWIp2fHDyByrmp6X3SXOXa306UKwwCgYIKoZIzj0EAwIw\n"
    "IDEeMBwGA1UEAwwVTWFycm93IHRlc3QgYXV0aG9yaXR5MB4XDTI2MTEzMDE1MzEz\n"
    "NFoXDTI5MDgyNjE1MzEzNFowEjEQMA4GA1UEAwwHaWdub3JlZDBZMBMGByqGSM49\n"
    "AgEGCCqGSM49AwEHA0IABMRT2HgNJoRteLRenBOQxm7cIF8rL9mgpQwa/2ac3YNH\n"
    "d7E40Ks1aOOvXmCoEwC+1N1jDZ2MlR2seg02ksMztcijcjBwMCMGA1UdEQQcMBqC\n"
    "C21vZGVscy50ZXN0ggsqLndpbGQudGVzdDAJBgNVHRMEAjAAMB0GA1UdDgQWBBTi\n"
    "wWkIjX8jS+QKqRiXxA/eCiEjgjAfBgNVHSMEGDAWgBQ+uAGQGIoNCmPGVQWLV3lk\n"
    "C1f/8DAKBggqhkjOPQQDAgNIADBFAiEApjUg4q5O0sjDXlwe4Fd6jXg7lqiWXnJX\n"
    "8xVgzUzGB34CIEkAts9tYr9uNlIGkjNMLL6yrZNK63eoePlo+536ExM6\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxiG/6yI5UaVcoHJ4\n"
    "h4dpFieXikaAgcQk4/zaqhjbN7ehRANCAATEU9h4DSaEbXi0XpwTkMZu3CBfKy/Z\n"
    "oKUMGv9mnN2DR3exONCrNWjjr15gqBMAvtTdYw2djJUdrHoNNpLDM7XI\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view kStranger =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjzCCATWgAwIBAgIUfOG14jTr/+dhhf/kDK3l5IJ9PyYwCgYIKoZIzj0EAwIw\n"
    "HDEaMBgGA1UEAwwRQW5vdGhlciBhdXRob3JpdHkwIBcNMjYxMTMwMTUzMTM1WhgP\n"
    "MjA1MTA3MjIxNTMxMzVaMBwxGjAYBgNVBAMMEUFub3RoZXIgYXV0aG9yaXR5MFkw\n"
    "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcKcRquzTK+3k76I/6JEraKnqDfPlGyVy\n"
    "wstktRj2AdY9Tio0f+KRil5NiPyFIVL973oGP1INRQs5MaAkFP5ZrqNTMFEwHQYD\n"
    "VR0OBBYEFCgsrLQUqVOg825c0KaRhDMwncYWMB8GA1UdIwQYMBaAFCgsrLQUqVOg\n"
    "825c0KaRhDMwncYWMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIg\n"
    "RMlaqDtpLSlBLo4dn+J6p7Fb/x51kSxtndFKLY4avoUCIQC61ulzrxaJ0reQ6RZl\n"
    "0Q4/KF/0gQIzJpPcaGDZzrj9Pw==\n"
    "-----END CERTIFICATE-----\n";

}  // namespace test_certificates
