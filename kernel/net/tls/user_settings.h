// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of wolfSSL that are built: a TLS 1.2 and 1.3 server and client with forward secrecy and
// AEAD ciphers, all of it in constant time; no files, sockets, threads or clock of its own. BearSSL
// provides AES (aes.cpp).
#pragma once

#include "kernel/net/tls/shim.h"

// ---- environment
#define SINGLE_THREADED
#define NO_FILESYSTEM
#define NO_STDIO_FILESYSTEM
#define NO_WRITEV
#define NO_MAIN_DRIVER
#define NO_MULTIBYTE_PRINT
#define WOLFSSL_USER_IO
#define WOLFSSL_NO_SOCK
#define WOLFSSL_SMALL_STACK
#define WOLFSSL_NO_ATOMICS
#define NO_ERROR_STRINGS
#define NO_OLD_SHA_NAMES
#define NO_OLD_WC_NAMES
#define NO_OLD_SSL_NAMES
#define WOLFSSL_IGNORE_FILE_WARN
#define SIZEOF_LONG_LONG 8
#define SIZEOF_LONG 8
#define HAVE___UINT128_T 1

// ---- protocol: 1.2 and 1.3, nothing else
#define WOLFSSL_TLS13
#define NO_OLD_TLS
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_EXTENDED_MASTER
#define HAVE_SERVER_RENEGOTIATION_INFO
#define WOLFSSL_EXTRA_ALERTS  // tells a refused client the reason
#define NO_SESSION_CACHE
#define NO_PSK
#define WOLFSSL_NO_CLIENT_AUTH
#define HAVE_SNI  // as a client: one address has many hosts

// ---- ciphers and hashes
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_ONE_TIME_AUTH
#define HAVE_AEAD
#define HAVE_HKDF
#define HAVE_HASHDRBG
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define HAVE_AESGCM
#define NO_AES_CBC
#define WC_RSA_PSS
#define WC_RSA_BLINDING
#define NO_DH
#define NO_DSA
#define NO_DES3
#define NO_RC4
#define NO_MD4
#define NO_MD5
#define NO_SHA
#define NO_PWDBASED
#define NO_PKCS12
#define NO_PKCS8_ENCRYPTED

// ---- curves and RSA (2048, 3072 and 4096 bits): 64-bit words without secret branches or indices
#define HAVE_ECC
#define HAVE_ECC384
#define HAVE_CURVE25519
// RFC 8446, 7.4.2: otherwise the peer could choose the secret
#define WOLFSSL_ECDHX_SHARED_NOT_ZERO
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define WOLFSSL_HAVE_SP_ECC
#define WOLFSSL_HAVE_SP_RSA
#define WOLFSSL_SP_MATH
#define WOLFSSL_SP_384
#define WOLFSSL_SP_4096
#define WOLFSSL_SP_CACHE_RESISTANT
#define SP_WORD_SIZE 64
#define WOLFSSL_SP_NO_MALLOC
#define WOLFSSL_SP_DIV_WORD_HALF

// ---- signatures of bundles: defined for the files of Ed25519 alone, or TLS would offer it
#ifdef MARROW_ED25519
#define HAVE_ED25519
#endif

// ---- certificates: this machine makes its own
#define WOLFSSL_CERT_GEN
#define WOLFSSL_CERT_EXT
#define WOLFSSL_ALT_NAMES
#define WOLFSSL_IP_ALT_NAME  // of servers that an address names
#define WOLFSSL_KEY_GEN
#define WOLFSSL_PEM_TO_DER
#define WOLFSSL_DER_TO_PEM
#define WOLFSSL_ASN_TEMPLATE
#define WOLFSSL_BASE64_ENCODE
