CREATE TABLE IF NOT EXISTS `inventories` (
    `name`    VARCHAR(80) NOT NULL,
    `items`   LONGTEXT    NOT NULL,
    `count`   INT         NOT NULL DEFAULT 0,
    `weight`  INT         NOT NULL DEFAULT 0,
    `changed` BIGINT      NOT NULL,
    PRIMARY KEY (`name`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
