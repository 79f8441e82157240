CREATE TABLE IF NOT EXISTS `bans` (
    `id`         INT          NOT NULL AUTO_INCREMENT,
    `license`    VARCHAR(60)  NOT NULL,
    `name`       VARCHAR(80)  NULL DEFAULT NULL,
    `reason`     VARCHAR(255) NOT NULL,
    `banned_by`  VARCHAR(80)  NOT NULL DEFAULT 'console',
    `created_at` BIGINT       NOT NULL,
    `expires_at` BIGINT       NULL DEFAULT NULL,
    `active`     TINYINT(1)   NOT NULL DEFAULT 1,
    PRIMARY KEY (`id`),
    KEY `license` (`license`, `active`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS `ban_tokens` (
    `ban_id` INT          NOT NULL,
    `token`  VARCHAR(100) NOT NULL,
    PRIMARY KEY (`ban_id`, `token`),
    CONSTRAINT `ban_tokens_ban` FOREIGN KEY (`ban_id`) REFERENCES `bans` (`id`) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS `warnings` (
    `id`         INT          NOT NULL AUTO_INCREMENT,
    `license`    VARCHAR(60)  NOT NULL,
    `reason`     VARCHAR(255) NOT NULL,
    `warned_by`  VARCHAR(80)  NOT NULL,
    `created_at` BIGINT       NOT NULL,
    PRIMARY KEY (`id`),
    KEY `license` (`license`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
