// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONFIG_HPP
#define DUET_DETAIL_CONFIG_HPP

#include <boost/asio/version.hpp>

// duet's operations need public parts of Asio that first appear in this version (is_async_operation).
static_assert(BOOST_ASIO_VERSION >= 102500, "duet needs Boost.Asio from Boost 1.81 or newer");

#if defined(BOOST_ASIO_NO_EXCEPTIONS)
#error "duet reports errors of its coroutine interface by exceptions"
#endif

// This macro makes asio::executor Asio's default executor, which cannot keep work outstanding in another context.
#if defined(BOOST_ASIO_USE_TS_EXECUTOR_AS_DEFAULT)
#error "duet needs any_io_executor as Asio's default: do not define BOOST_ASIO_USE_TS_EXECUTOR_AS_DEFAULT"
#endif

// Header-only by default. The compiled variant (CMake target duet::compiled) defines DUET_SEPARATE_COMPILATION for its
// users, and compiles every definition marked DUET_DECL into one object file, src/duet.cpp.
//
// DUET_ABI is the namespace of everything, and says which variant. So objects of different variants that pass duet's
// types to each other do not link, and the linker's message names the variant; those that do not are independent.
#if defined(DUET_SEPARATE_COMPILATION)
#define DUET_DECL
#define DUET_ABI v0_compiled
#else
#define DUET_DECL inline
#define DUET_ABI v0_header_only
#endif

#endif
