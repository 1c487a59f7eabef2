// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_PROCESS_HPP
#define DUET_TEST_PROCESS_HPP

#include "support/descriptor.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace duet_test {

// How a program ended: by itself with a code, or by a signal.
struct exit_status
{
    int code = -1;   // -1 when a signal ended it
    int signal = 0;  // 0 when it ended by itself

    bool success() const noexcept { return code == 0; }
};

enum class child_errors
{
    inherited,  // stderr is the test's
    merged      // stderr goes where stdout goes
};

// A program run by the test, with pipes to its stdin and from its stdout. Started by posix_spawn, so that threads of
// the test do no harm. Killed and waited for in the destructor.
class child_process
{
public:
    // command[0] is looked for in PATH.
    explicit child_process(std::vector<std::string> command, child_errors errors = child_errors::inherited);
    ~child_process();

    child_process(child_process const&) = delete;
    child_process& operator=(child_process const&) = delete;

    pid_t id() const noexcept { return id_; }

    // stdin. Throws std::system_error (EPIPE) when the child no longer reads.
    void write(std::string_view text);
    void close_input() noexcept;

    // stdout. A line without its newline (or the rest before EOF); empty at EOF. Throws hang.
    std::optional<std::string> read_line();
    std::string read_rest();

    void signal(int number);

    // Waits for the end; throws hang. Reads nothing: a child with a full stdout pipe does not end.
    exit_status wait();

private:
    bool read_more();

    pid_t id_ = -1;
    descriptor process_;  // a pidfd: readable when the child has ended
    descriptor input_;
    descriptor output_;
    std::string buffer_;
    std::optional<exit_status> status_;
};

}  // namespace duet_test

#endif
