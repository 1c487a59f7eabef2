// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_TRACKED_HPP
#define DUET_TEST_TRACKED_HPP

#include <set>
#include <utility>

namespace duet_test {

// Knows which of its objects live, so that one destroyed twice or never is noticed. By address and outside the objects:
// what a destructor writes into a dying object, an optimizer may leave out. For one thread.
class tracked
{
public:
    explicit tracked(int const number) : value{number} { begin(); }

    tracked(tracked const& other) : value{other.value} { begin(); }

    tracked(tracked&& other) noexcept : value{std::exchange(other.value, 0)} { begin(); }

    ~tracked()
    {
        if (living.erase(this) != 1)
            ++mistakes;
    }

    tracked& operator=(tracked const&) = delete;

    // Every object was destroyed exactly once.
    static bool all_right() { return living.empty() && mistakes == 0; }

    int value;

private:
    void begin()
    {
        if (!living.insert(this).second)
            ++mistakes;
    }

    static inline std::set<tracked const*> living;
    static inline int mistakes = 0;
};

}  // namespace duet_test

#endif
