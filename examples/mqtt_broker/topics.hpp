// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MQTT_BROKER_TOPICS_HPP
#define EXAMPLES_MQTT_BROKER_TOPICS_HPP

// Topic names, the filters that they match, and who has subscribed to what.

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace mqtt {

class client;

/// More levels ("a/b" has two) than anybody needs are refused: a walk through the tree is as deep as a topic.
constexpr std::size_t most_levels = 64;

/// Well-formed, and without the character U+0000.
bool is_utf8(std::string_view text) noexcept;

bool is_topic(std::string_view text) noexcept;
bool is_filter(std::string_view text) noexcept;

/// "+" stands for one level and "#", as the last one, for any number of them, but neither for a first level that begins
/// with '$' [MQTT-4.7.2-1]. Both are what is_topic() and is_filter() accept.
bool matches(std::string_view filter, std::string_view topic) noexcept;

/// Who has subscribed to what: a tree of levels. A topic finds its filters in a walk that does not depend on how many
/// others there are.
class subscription_tree
{
public:
    using visitor = std::function<void(client&, unsigned qos)>;

    /// Add a subscription, or replace its QoS.
    void set(std::string_view filter, client& who, unsigned qos);

    void erase(std::string_view filter, client& who);

    /// Call `visit` for each subscription that matches: several times for a client with several. Not for a topic that
    /// begins with '$', of which it does not know that wildcards do not match. Returns in how many places it has
    /// looked.
    std::size_t visit(std::string_view topic, visitor const& visit) const;

private:
    struct node
    {
        std::map<std::string, std::unique_ptr<node>, std::less<>> below;
        std::map<client*, unsigned> subscribers;
    };

    static void erase(node& from, std::string_view filter, client& who);
    static std::size_t visit(node const& at, std::string_view topic, visitor const& visit);
    static void visit(node const& at, visitor const& visit);

    node root_;
};

}  // namespace mqtt

#endif
