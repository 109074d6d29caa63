// SPDX-License-Identifier: GPL-2.0-or-later
// Certificates for tests of the TLS client, made by OpenSSL (`openssl req -x509`, `openssl x509
// -req -CA`): an authority, a server that it vouches for from November 2026 to August 2029 under
// the names models.test and *.wild.test, and another authority. A third one vouches for a server
// under the addresses 192.0.2.7 and 2001:db8::7 and the DNS names 192.0.2.8 and *.0.2.9.
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
constexpr std::string_view kAddressAuthority =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBljCCAT2gAwIBAgIUEVuZdFElUXvG0gAPIlttLSETP7QwCgYIKoZIzj0EAwIw\n"
    "IDEeMBwGA1UEAwwVTWFycm93IHRlc3QgYXV0aG9yaXR5MCAXDTI2MTEzMDE4Mzgz\n"
    "MloYDzIwNTEwNzIyMTgzODMyWjAgMR4wHAYDVQQDDBVNYXJyb3cgdGVzdCBhdXRo\n"
    "b3JpdHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR+X+TXLm5s7v+hAAxy6J3X\n"
    "zSebHw5Xj4Etqee4LRUuqqa5xz5DLygPU4D4ToEoP+YmaBUzZN5d4c9sC4KZSwWM\n"
    "o1MwUTAdBgNVHQ4EFgQUkeftkcEpWp8ryzxPTqyeZVjYMycwHwYDVR0jBBgwFoAU\n"
    "keftkcEpWp8ryzxPTqyeZVjYMycwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD\n"
    "AgNHADBEAiACyuTgdcus+1+n65FvT5VZXnP55yPdHp+MZyBXTVO0MQIgO/d8Q7W7\n"
    "UOCOfmJgzQK2J3xgrHTpcEn9pbyBlvIJxn4=\n"
    "-----END CERTIFICATE-----\n";
constexpr std::string_view kAddressIdentity =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBrzCCAVagAwIBAgIUThza/+fRj8M3oBI+JSO6nBH0yT8wCgYIKoZIzj0EAwIw\n"
    "IDEeMBwGA1UEAwwVTWFycm93IHRlc3QgYXV0aG9yaXR5MB4XDTI2MTEzMDE4Mzgz\n"
    "M1oXDTI5MDgyNjE4MzgzM1owFTETMBEGA1UEAwwKMTkyLjAuMi45OTBZMBMGByqG\n"
    "SM49AgEGCCqGSM49AwEHA0IABBQ04d76GgXY5B/vqRYGiWTQNTe6yvh38mlcMEMF\n"
    "ld4UpezdXRrY9frpDhmVRI1w/kv0oBBORjQcTE3X/LFmbvSjeTB3MDUGA1UdEQQu\n"
    "MCyHBMAAAgeHECABDbgAAAAAAAAAAAAAAAeCCTE5Mi4wLjIuOIIHKi4wLjIuOTAd\n"
    "BgNVHQ4EFgQUhlXtT3BajUuoWO729lUeINwqnt8wHwYDVR0jBBgwFoAUkeftkcEp\n"
    "Wp8ryzxPTqyeZVjYMycwCgYIKoZIzj0EAwIDRwAwRAIgScN9eCTwucrL2kwxopae\n"
    "7pquoajb1rEqM4JTVkjdP1ICIA/j72QVoCWVmpnI1t5JQi5pnVo+JnBySvEJIgSk\n"
    "eg5/\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFramPZkI3uxS1gyZ\n"
    "aFDTvEyKLt+Z4fL0u5S9NL3SxCqhRANCAAQUNOHe+hoF2OQf76kWBolk0DU3usr4\n"
    "d/JpXDBDBZXeFKXs3V0a2PX66Q4ZlUSNcP5L9KAQTkY0HExN1/yxZm70\n"
    "-----END PRIVATE KEY-----\n";

}  // namespace test_certificates
