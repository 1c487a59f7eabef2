// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SLIM_LIST_HPP
#define DUET_DETAIL_ENGINE_SLIM_LIST_HPP

#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A doubly linked list that takes one pointer while it is empty, for what most sessions never have. It does not count
/// its elements. An iterator stays valid until its element is removed.
template <class T>
class slim_list
{
    struct node
    {
        T value;
        node* next;  // of the last: the first
        node* previous;
    };

    template <class List, class Value>
    class basic_iterator
    {
        friend slim_list;

    public:
        Value& operator*() const noexcept { return at_->value; }

        Value* operator->() const noexcept { return &at_->value; }

        basic_iterator& operator++() noexcept
        {
            at_ = at_->next == in_->first_ ? nullptr : at_->next;
            return *this;
        }

        friend bool operator==(basic_iterator const& left, basic_iterator const& right) noexcept
        {
            return left.at_ == right.at_;
        }

    private:
        basic_iterator(List* in, node* at) noexcept : in_{in}, at_{at} {}

        List* in_;
        node* at_;  // null: the end
    };

public:
    using iterator = basic_iterator<slim_list, T>;
    using const_iterator = basic_iterator<slim_list const, T const>;

    slim_list() noexcept = default;

    slim_list(slim_list&& other) noexcept : first_{std::exchange(other.first_, nullptr)} {}

    slim_list& operator=(slim_list&&) = delete;

    /// What an element's destructor does to this list, it does to an empty one.
    ~slim_list()
    {
        auto* each = std::exchange(first_, nullptr);
        if (!each)
            return;
        each->previous->next = nullptr;
        while (each)
            delete std::exchange(each, each->next);
    }

    bool empty() const noexcept { return !first_; }

    iterator begin() noexcept { return {this, first_}; }
    iterator end() noexcept { return {this, nullptr}; }

    const_iterator begin() const noexcept { return {this, first_}; }
    const_iterator end() const noexcept { return {this, nullptr}; }

    T& front() noexcept { return first_->value; }
    T const& front() const noexcept { return first_->value; }
    T& back() noexcept { return first_->previous->value; }

    /// Throws std::bad_alloc; `value` is then as it was.
    void push_back(T&& value) { link(new node{std::move(value), nullptr, nullptr}); }

    /// Remove this element, and return what it held.
    T take(iterator where) noexcept
    {
        auto* const taken = unlink(where);
        T value = std::move(taken->value);
        delete taken;
        return value;
    }

    /// Move this element to the end of another list.
    void pass_on(iterator where, slim_list& to) noexcept { to.link(unlink(where)); }

    /// The first element for which this is true, or the end.
    template <class Predicate>
    iterator find_if(Predicate is_meant) noexcept
    {
        auto each = begin();
        while (each != end() && !is_meant(*each))
            ++each;
        return each;
    }

private:
    void link(node* added) noexcept
    {
        if (!first_)
        {
            added->next = added->previous = first_ = added;
            return;
        }
        added->next = first_;
        added->previous = first_->previous;
        added->previous->next = first_->previous = added;
    }

    node* unlink(iterator where) noexcept
    {
        auto* const taken = where.at_;
        if (taken->next == taken)
            first_ = nullptr;
        else
        {
            taken->previous->next = taken->next;
            taken->next->previous = taken->previous;
            if (first_ == taken)
                first_ = taken->next;
        }
        return taken;
    }

    node* first_ = nullptr;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
