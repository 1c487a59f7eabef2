// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TLS_CERTIFICATES_HPP
#define DUET_TEST_TLS_CERTIFICATES_HPP

// Certificates that are made when a test runs, so that none expires one day.

#include <duet/detail/tls/tls_settings.hpp>
#include <duet/tls_options.hpp>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdexcept>
#include <string>

namespace duet_test {

/// Somebody with a certificate and a key, as PEM.
struct credentials_pem
{
    std::string certificate;
    std::string key;

    duet::tls_identity identity() const { return {{{}, certificate}, {{}, key}}; }
};

class certificate_maker
{
    template <class T>
    using ptr = duet::detail::openssl_ptr<T>;

public:
    /// What a certificate says. `names` is what X509v3 calls subjectAltName.
    struct wanted
    {
        std::string subject;
        std::string names{};
        bool authority = false;
        long from = -3600;  // seconds from now
        long to = 24L * 3600;
    };

    /// An authority that signs itself.
    explicit certificate_maker(std::string const& name = "Test Authority")
        : key_{::EVP_EC_gen("P-256")}, own_{make({.subject = name, .authority = true}, *key_, nullptr)}
    {
    }

    /// An authority of another one.
    certificate_maker(std::string const& name, certificate_maker const& above)
        : key_{::EVP_EC_gen("P-256")}, own_{above.make({.subject = name, .authority = true}, *key_, above.own_.get())}
    {
    }

    std::string pem() const { return pem_of(*own_); }

    credentials_pem issue(wanted const& what) const
    {
        ptr<::EVP_PKEY> const key{::EVP_EC_gen("P-256")};
        auto const made = make(what, *key, own_.get());
        return {pem_of(*made), pem_of(*key)};
    }

    /// One that nobody has issued.
    static credentials_pem self_signed(wanted const& what)
    {
        ptr<::EVP_PKEY> const key{::EVP_EC_gen("P-256")};
        certificate_maker const none{what.subject};
        auto const made = none.make(what, *key, nullptr, key.get());
        return {pem_of(*made), pem_of(*key)};
    }

private:
    static void check(bool good)
    {
        if (!good)
            throw std::runtime_error{"OpenSSL refuses to make a certificate"};
    }

    ptr<::X509> make(wanted const& what, ::EVP_PKEY& key, ::X509* issuer, ::EVP_PKEY* signing = nullptr) const
    {
        static long serial = 1;
        ptr<::X509> made{::X509_new()};
        check(made != nullptr);
        auto* const x = made.get();
        ::X509_set_version(x, 2);
        ::ASN1_INTEGER_set(::X509_get_serialNumber(x), ++serial);
        ::X509_gmtime_adj(::X509_getm_notBefore(x), what.from);
        ::X509_gmtime_adj(::X509_getm_notAfter(x), what.to);
        auto* const name = ::X509_get_subject_name(x);
        auto const* const text = reinterpret_cast<unsigned char const*>(what.subject.c_str());
        check(::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1);
        ::X509_set_issuer_name(x, issuer ? ::X509_get_subject_name(issuer) : name);
        ::X509_set_pubkey(x, &key);
        ::X509V3_CTX context;
        ::X509V3_set_ctx(&context, issuer ? issuer : x, x, nullptr, nullptr, 0);
        extend(x, context, NID_basic_constraints, what.authority ? "critical,CA:TRUE" : "CA:FALSE");
        if (!what.names.empty())
            extend(x, context, NID_subject_alt_name, what.names);
        check(::X509_sign(x, signing ? signing : key_.get(), ::EVP_sha256()) > 0);
        return made;
    }

    static void extend(::X509* x, ::X509V3_CTX& context, int what, std::string const& value)
    {
        auto* const extension = ::X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
        check(extension != nullptr);
        ::X509_add_ext(x, extension, -1);
        ::X509_EXTENSION_free(extension);
    }

    template <class Object>
    static std::string pem_of(Object& object)
    {
        ptr<::BIO> const out{::BIO_new(::BIO_s_mem())};
        if constexpr (std::is_same_v<Object, ::X509>)
            check(::PEM_write_bio_X509(out.get(), &object) == 1);
        else
            check(::PEM_write_bio_PrivateKey(out.get(), &object, nullptr, nullptr, 0, nullptr, nullptr) == 1);
        char* text = nullptr;
        auto const size = BIO_get_mem_data(out.get(), &text);
        return {text, static_cast<std::size_t>(size)};
    }

    ptr<::EVP_PKEY> key_;
    ptr<::X509> own_;
};

}  // namespace duet_test

#endif
