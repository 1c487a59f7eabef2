// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_HAND_OVER_IPP
#define DUET_DETAIL_ACCEPT_HAND_OVER_IPP

#include <boost/system/error_code.hpp>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <duet/detail/socket/fork_watch.hpp>
#include <duet/detail/socket/new_descriptor.hpp>
#include <duet/error.hpp>
#include <duet/hand_over.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" char** environ;

namespace duet {
inline namespace DUET_ABI {
namespace detail {

[[noreturn]] inline void fail_start(char const* operation, std::string const& program, int number)
{
    throw session_error{{number, boost::system::system_category()}, operation, program, 0};
}

/// What a program is executed with. Everything is prepared before fork(), because the child of a program with threads
/// may only make system calls.
class execution
{
public:
    execution(std::string const& program, std::vector<std::string> const& arguments,
        std::vector<inherited_descriptor> const& listeners)
        : words_{program}, copies_(listeners.size(), -1)
    {
        words_.insert(words_.end(), arguments.begin(), arguments.end());
        for (char** each = environ; each && *each; ++each)
            if (std::string_view{*each}.substr(0, 7) != "LISTEN_")
                variables_.emplace_back(*each);
        std::string names;
        for (auto const& each : listeners)
        {
            descriptors_.push_back(each.descriptor);
            names += (descriptors_.size() > 1 ? ":" : "") + each.name;
        }
        if (!listeners.empty())
        {
            variables_.push_back("LISTEN_FDS=" + std::to_string(listeners.size()));
            variables_.push_back("LISTEN_FDNAMES=" + names);
            variables_.push_back("LISTEN_PID=" + std::string(digits, '\0'));
        }
        for (auto& each : words_)
            word_pointers_.push_back(each.data());
        for (auto& each : variables_)
            variable_pointers_.push_back(each.data());
        word_pointers_.push_back(nullptr);
        variable_pointers_.push_back(nullptr);
    }

    execution(execution const&) = delete;
    execution& operator=(execution const&) = delete;

    /// In the child. On an error, writes its number to `failure`.
    [[noreturn]] void begin(int failure, ::sigset_t const& mask) noexcept
    {
        int const report = ::fcntl(failure, F_DUPFD_CLOEXEC, first + static_cast<int>(descriptors_.size()));
        restore_signals(mask);
        if (report >= 0 && place_descriptors())
        {
            write_process_number();
            ::execve(word_pointers_.front(), word_pointers_.data(), variable_pointers_.data());
        }
        int const number = errno;
        static_cast<void>(::write(report >= 0 ? report : failure, &number, sizeof(number)) == 0);
        ::_exit(127);
    }

private:
    static constexpr int first = 3;  // SD_LISTEN_FDS_START
    static constexpr std::size_t digits = 20;

    /// A handler of this process must not run in the child: its pipes are those of the parent.
    static void restore_signals(::sigset_t const& mask) noexcept
    {
        for (int number = 1; number < NSIG; ++number)
        {
            struct ::sigaction action
            {
            };
            if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN)
                continue;
            action = {};
            action.sa_handler = SIG_DFL;
            ::sigaction(number, &action, nullptr);
        }
        ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    }

    /// Copy the descriptors to 3, 4, ..., and there not close-on-exec. First out of the way, as they may be among
    /// these.
    bool place_descriptors() noexcept
    {
        auto const count = descriptors_.size();
        for (std::size_t i = 0; i < count; ++i)
            if ((copies_[i] = ::fcntl(descriptors_[i], F_DUPFD_CLOEXEC, first + static_cast<int>(count))) < 0)
                return false;
        for (std::size_t i = 0; i < count; ++i)
            if (::dup2(copies_[i], first + static_cast<int>(i)) < 0)
                return false;
        return true;
    }

    void write_process_number() noexcept
    {
        if (descriptors_.empty())
            return;
        char reversed[digits];
        std::size_t size = 0;
        for (auto number = static_cast<unsigned long>(::getpid()); number != 0; number /= 10)
            reversed[size++] = static_cast<char>('0' + number % 10);
        char* to = variables_.back().data() + sizeof("LISTEN_PID=") - 1;
        while (size > 0)
            *to++ = reversed[--size];
    }

    std::vector<std::string> words_;
    std::vector<std::string> variables_{};
    std::vector<char*> word_pointers_{};
    std::vector<char*> variable_pointers_{};
    std::vector<int> descriptors_{};
    std::vector<int> copies_;
};

}  // namespace detail

DUET_DECL void handed_listeners::add_copy_of(int descriptor, std::string name)
{
    all_.push_back({-1, std::move(name)});
    all_.back().descriptor = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (all_.back().descriptor >= 0)
        return;
    int const number = errno;
    all_.pop_back();
    throw session_error{{number, boost::system::system_category()}, "hand_over", "", 0};
}

DUET_DECL void handed_listeners::add(handed_listeners&& others)
{
    all_.reserve(all_.size() + others.all_.size());
    for (auto& each : others.all_)
        all_.push_back(std::move(each));
    others.all_.clear();
}

DUET_DECL void handed_listeners::close() noexcept
{
    for (auto const& each : all_)
        ::close(each.descriptor);
    all_.clear();
}

DUET_DECL ::pid_t handed_listeners::start(std::string const& program, std::vector<std::string> const& arguments) const
{
    detail::execution child{program, arguments, all_};
    int failure[2];
    if (detail::open_pipe(failure) != 0)
        detail::fail_start("pipe", program, errno);
    ::sigset_t all;
    ::sigset_t mask;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &mask);
    ::pid_t process = -1;
    {
        detail::fork_watch::uncounted const executes_at_once;
        process = ::fork();
    }
    if (process == 0)
        child.begin(failure[1], mask);
    int number = process < 0 ? errno : 0;
    ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    ::close(failure[1]);
    ::ssize_t size = 0;
    while (process > 0 && (size = ::read(failure[0], &number, sizeof(number))) < 0 && errno == EINTR)
        continue;
    ::close(failure[0]);
    if (process < 0)
        detail::fail_start("fork", program, number);
    if (size == 0)  // execve() has closed the pipe
        return process;
    while (::waitpid(process, nullptr, 0) < 0 && errno == EINTR)
        continue;
    detail::fail_start("execve", program, number);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
