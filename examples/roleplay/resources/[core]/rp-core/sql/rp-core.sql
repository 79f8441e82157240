-- Characters and what the staff keeps about them.

CREATE TABLE IF NOT EXISTS `users` (
    `license`    VARCHAR(60)  NOT NULL,
    `name`       VARCHAR(80)  NOT NULL,
    `slots`      TINYINT      NOT NULL DEFAULT 3,
    `first_seen` BIGINT       NOT NULL,
    `last_seen`  BIGINT       NOT NULL,
    `playtime`   INT          NOT NULL DEFAULT 0,
    PRIMARY KEY (`license`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS `characters` (
    `id`         INT          NOT NULL AUTO_INCREMENT,
    `citizenid`  VARCHAR(12)  NOT NULL,
    `license`    VARCHAR(60)  NOT NULL,
    `slot`       TINYINT      NOT NULL DEFAULT 1,
    `firstname`  VARCHAR(40)  NOT NULL,
    `lastname`   VARCHAR(40)  NOT NULL,
    `birthdate`  VARCHAR(10)  NOT NULL DEFAULT '1990-01-01',
    `gender`     TINYINT(1)   NOT NULL DEFAULT 0,
    `cash`       BIGINT       NOT NULL DEFAULT 0,
    `bank`       BIGINT       NOT NULL DEFAULT 0,
    `job`        VARCHAR(40)  NOT NULL DEFAULT 'unemployed',
    `grade`      INT          NOT NULL DEFAULT 0,
    `position`   VARCHAR(120) NULL DEFAULT NULL,
    `metadata`   LONGTEXT     NULL DEFAULT NULL,
    `skin`       LONGTEXT     NULL DEFAULT NULL,
    `last_used`  BIGINT       NOT NULL DEFAULT 0,
    PRIMARY KEY (`id`),
    UNIQUE KEY `citizenid` (`citizenid`),
    KEY `license` (`license`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS `logs` (
    `id`       INT          NOT NULL AUTO_INCREMENT,
    `at`       BIGINT       NOT NULL,
    `resource` VARCHAR(60)  NOT NULL,
    `kind`     VARCHAR(40)  NOT NULL,
    `license`  VARCHAR(60)  NULL DEFAULT NULL,
    `text`     VARCHAR(255) NOT NULL,
    PRIMARY KEY (`id`),
    KEY `kind` (`kind`, `at`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
